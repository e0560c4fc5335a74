/** The event stream format of the HTML standard, read from bytes that may be cut anywhere. */

export interface ServerSentEvent {
  /** `message` where the stream names none. */
  readonly type: string
  readonly data: string
  readonly lastEventId: string
}

const MOST_CHARACTERS = 1_000_000

/** Give it the chunks in order; it gives the events that each one completes. An event cut off by the end is dropped. */
export class EventStreamParser {
  readonly #decoder = new TextDecoder() // drops the byte order mark, and keeps half a character for the next chunk
  #line = ''
  #endedWithCarriageReturn = false
  #type = ''
  #data: string[] = []
  #size = 0
  #lastEventId = ''

  /** Throws a `RangeError` where an event grows beyond a million characters. */
  push(chunk: Uint8Array): ServerSentEvent[] {
    let text = this.#decoder.decode(chunk, { stream: true })
    if (text === '') return []
    if (this.#endedWithCarriageReturn && text.startsWith('\n')) text = text.slice(1)
    this.#endedWithCarriageReturn = text === '' ? false : text.endsWith('\r')
    const lines = text.split(/\r\n|\r|\n/)
    const rest = lines.pop() ?? ''
    const events: ServerSentEvent[] = []
    for (const line of lines) {
      const event = this.#take(this.#line + line)
      this.#line = ''
      if (event) events.push(event)
    }
    this.#line += rest
    this.#require(this.#size + this.#line.length)
    return events
  }

  #take(line: string): ServerSentEvent | null {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'event') this.#type = value
    if (field === 'id' && !value.includes('\0')) this.#lastEventId = value
    if (field === 'data') {
      this.#data.push(value)
      this.#size += value.length + 1
      this.#require(this.#size)
    }
    return null
  }

  #dispatch(): ServerSentEvent | null {
    const event = { type: this.#type || 'message', data: this.#data.join('\n'), lastEventId: this.#lastEventId }
    const isEmpty = this.#data.length === 0
    this.#type = ''
    this.#data = []
    this.#size = 0
    return isEmpty ? null : event
  }

  #require(size: number): void {
    if (size > MOST_CHARACTERS) throw new RangeError('An event of the stream is too long.')
  }
}
