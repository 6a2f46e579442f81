# formula.rb FORMULA: reads a Homebrew formula with words that only write down how they were called, and
# prints them as JSON: {calls: [[word, arguments, calls inside its block]…], installed: […]}.

require "json"

# What stands in blocks.
class Words < BasicObject
  def initialize = @calls = []

  def self.of(&block)
    words = new
    words.instance_eval(&block)
    words.__calls
  end

  def __calls = @calls

  def method_missing(word, *arguments, &block)
    plain = arguments.map { |each| ::Regexp === each ? each.source : each }
    @calls << [word, plain, block && ::Words.of(&block)]
    self
  end
end

class Formula
  CALLS = []
  INSTALLED = []

  def self.method_missing(word, *arguments, &block)
    CALLS << [word, arguments, block && Words.of(&block)]
  end

  # A word of Ruby's own; what stands in it is run by brew alone.
  def self.test = CALLS << [:test, [], nil]

  def self.method_added(name)
    CALLS << [:def, [name], nil] if self != Formula
  end

  # What stands in `install`: a directory, and what is done with it.
  def method_missing(word)
    INSTALLED << [word]
    Directory.new(INSTALLED.last)
  end
end

# A directory of the installation: each word to it is written down behind its name.
class Directory < BasicObject
  def initialize(said) = @said = said

  def method_missing(word, *arguments)
    @said << word << arguments
    self
  end
end

Dir.define_singleton_method(:[]) { |pattern| pattern }

load ARGV.fetch(0)
Sbx.new.install
puts JSON.generate({ calls: Formula::CALLS, installed: Formula::INSTALLED })
