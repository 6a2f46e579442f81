package flight

import "bytes"

// requestReader looks for what any HTTP server could take for a request. Servers differ in what they
// forgive, and whoever forgives most decides what has to be judged. The first lines that twenty servers
// were tried with, and which of them answered for the Host that came behind, are in docs/policy.md.
//
//	blanks ──► line ──► head              a version: wait for the end of the fields
//	             ├────► watch             no version: nothing names a host until a Host field comes
//	             ├────► joined            it ended without CR, and some servers read on
//	             └────► whole | opaque
type requestReader struct {
	phase  requestPhase
	open   bool // a byte came that no client would send
	spaced words
	broad  words
	// behind a space, what comes is split once more: for Java's server what came before it is the first word,
	// if that has no byte.
	behind  words
	shifted bool
	// version counts the bytes of "HTTP/" that are there.
	version int
	last    byte
	ends    bool // a carriage return came that ends a line with a line feed, for Java's server too: it takes two for text
	length  int
	empty   bool // the line so far
	host    int  // bytes of "host" that the line begins with, or noHost
}

type requestPhase int

const (
	phaseBlanks requestPhase = iota
	phaseLine
	phaseJoined
	phaseHead
	phaseWatch
)

const (
	versionPrefix = "HTTP/"
	hostField     = "HOST"
	noHost        = -1
)

func (r *requestReader) step(c byte) State {
	switch r.phase {
	case phaseBlanks:
		// Servers skip empty lines, and some any blank.
		if c == ' ' {
			r.behind, r.shifted = words{count: 1}, true
		}
		if c == ' ' || c >= '\t' && c <= '\r' {
			return Partial
		}
		r.phase = phaseLine
		return r.line(c)
	case phaseLine:
		return r.line(c)
	case phaseJoined:
		return r.joined(c)
	case phaseHead:
		return r.head(c)
	}
	return r.watch(c)
}

func (r *requestReader) line(c byte) State {
	if c == '\n' {
		return r.lineEnd()
	}
	r.split(c)
	control := c < ' ' && c != '\t' && c != '\r' || c == 0x7f
	if control || r.broad.count == 1 && !isBlank(c) && !isTokenByte(c) {
		r.open = true
	}
	if r.open {
		return Open
	}
	return Partial
}

func (r *requestReader) split(c byte) {
	r.spaced.step(c, c == ' ')
	r.broad.step(c, isBlank(c))
	if r.shifted {
		r.behind.step(c, c == ' ')
	}
	r.version = match(versionPrefix, r.version, c)
	r.last = c
	r.ends = c == '\r' && !r.ends
	r.length++
}

func (r *requestReader) lineEnd() State {
	r.empty = true
	// The binary header by which a proxy tells where a connection comes from has such a line.
	proxied := r.length == 2 && r.spaced.first[0] == 0 && r.last == '\r'
	switch {
	case r.broad.count >= 2 && r.version == len(versionPrefix):
		if r.open {
			return Whole
		}
		r.phase = phaseHead
		return Partial
	case proxied, r.spaced.names(), r.broad.names():
		return Whole
	case r.spaced.mayBeRequest(), r.broad.mayBeRequest(), r.behind.path:
		r.phase = phaseWatch
	case r.ends, r.spaced.count > 2:
		return Opaque
	default:
		r.phase = phaseJoined
		r.split('\n')
	}
	r.open = true
	return Open
}

// joined reads on as servers do whose lines end with CRLF alone, and that want three words.
func (r *requestReader) joined(c byte) State {
	if c == '\n' && r.ends {
		return Opaque
	}
	r.split(c)
	switch {
	case r.spaced.hasTarget(), r.behind.hasTarget():
		return Whole
	case r.spaced.isSettled(): // and so is what is behind, a word before it
		return Opaque
	}
	return Open
}

// head waits for the line that has nothing but a CR.
func (r *requestReader) head(c byte) State {
	if c != '\n' {
		r.empty = r.empty && c == '\r'
		return Partial
	}
	if r.empty {
		return Whole
	}
	r.empty = true
	return Partial
}

// watch waits for a field named Host, wherever a line may begin for somebody, or for the end of the
// head, which Java's server finds behind bare carriage returns as well: what follows that could be another
// request.
func (r *requestReader) watch(c byte) State {
	last := r.last
	r.last = c
	switch {
	case c == '\n' && r.empty, c == '\r' && (r.empty || last == '\r'):
		return Whole
	case c == ':' && r.host == len(hostField):
		return Whole
	case c >= '\n' && c <= '\r', c >= 0x1c && c <= 0x1f, c == 0x85:
		r.empty, r.host = r.empty || c == '\n', 0
	case c <= ' ':
		if r.host != 0 && r.host != len(hostField) {
			r.host = noHost
		}
	default:
		r.empty = false
		if r.host >= 0 && r.host < len(hostField) && upper(c) == hostField[r.host] {
			r.host++
		} else {
			r.host = noHost
		}
	}
	return Open
}

// words is a line split at blanks, as far as it tells a request.
type words struct {
	count    int
	inside   bool
	at       int
	first    [8]byte // of the first word, in capitals
	size     int     // of that
	small    bool    // the first word has small letters
	path     bool    // the second is one, or what Java's server takes for one: a:/x, %2fx
	scheme   int     // bytes of "://" behind letters in the second, or noScheme
	escape   int     // bytes of "%2F" that the second begins with
	absolute bool    // the second is a URL with an authority
}

const (
	schemeEnd    = "://"
	schemeRoot   = 2 // of these, so many begin a path
	noScheme     = -1
	escapedSlash = "%2F"
)

func (w *words) step(c byte, blank bool) {
	if blank {
		w.inside = false
		return
	}
	if !w.inside {
		w.inside, w.at = true, 0
		w.count++
	}
	switch w.count {
	case 1:
		w.small = w.small || c >= 'a' && c <= 'z'
		if w.at < len(w.first) {
			w.first[w.at] = upper(c)
			w.size = w.at + 1
		}
	case 2:
		if w.escape == w.at && w.at < len(escapedSlash) && upper(c) == escapedSlash[w.at] {
			w.escape++
		}
		w.follow(c)
		w.path = w.path || w.at == 0 && (c == '/' || c == '*') || w.escape == len(escapedSlash) || w.scheme == schemeRoot
	}
	w.at++
}

func (w *words) follow(c byte) {
	letter := upper(c) >= 'A' && upper(c) <= 'Z' || w.at > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')
	switch {
	case w.scheme == noScheme || w.absolute:
	case w.scheme == 0 && letter:
	case w.at > 0 && c == schemeEnd[w.scheme]:
		w.scheme++
		w.absolute = w.scheme == len(schemeEnd)
	default:
		w.scheme = noScheme
	}
}

// names tells that the line leads to a host by itself: a URL, a tunnel, the header of a proxy.
func (w *words) names() bool {
	return w.absolute || w.count >= 2 && (w.firstIs("CONNECT") || w.firstIs("PROXY"))
}

func (w *words) firstIs(word string) bool {
	return string(w.first[:w.size]) == word
}

// isSettled tells that the second word has come to its end.
func (w *words) isSettled() bool { return w.count > 2 || w.count == 2 && !w.inside }

// hasTarget tells that it has, and that a server looks there for what it is asked for.
func (w *words) hasTarget() bool { return w.isSettled() && (w.path || w.absolute) }

// mayBeRequest tells what some server answers though it has no version.
func (w *words) mayBeRequest() bool { return w.path || w.count == 2 && !w.small }

// match advances in a prefix that repeats no part of itself, ignoring case.
func match(text string, at int, c byte) int {
	switch {
	case at == len(text), upper(c) == text[at]:
		return min(at+1, len(text))
	case upper(c) == text[0]:
		return 1
	}
	return 0
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// isBlank is what some server splits a line at.
func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c >= 0x0b && c <= '\r' || c >= 0x1c && c <= 0x1f || c == 0x85 || c == 0xa0
}

// isTokenByte is tchar of RFC 9110 5.6.2.
func isTokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' ||
		bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}
