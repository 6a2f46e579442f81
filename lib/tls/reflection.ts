/**
 * What the certificate library resolves its parts by. In a module of its own: of one that is loaded
 * by `import()`, Bun's bundler evaluates the ECMAScript modules first and the CommonJS ones, like
 * this, after them, whatever their order in the text.
 *
 * @module
 */
import "reflect-metadata";
