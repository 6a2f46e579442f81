/**
 * Values as JSON, a line each, which is how calls tell more than an answer holds.
 *
 * @module
 */

export class LineWriter {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(output: WritableStream<Uint8Array>) {
    this.#writer = output.getWriter();
  }

  /** Resolves when the reader has room for more. @throws SbxError PIPE_CLOSED */
  async tell(value: unknown): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
  }

  async end(): Promise<void> {
    await this.#writer.close();
  }

  /** Rejects when nobody reads any more. */
  get closed(): Promise<void> {
    return this.#writer.closed;
  }
}
