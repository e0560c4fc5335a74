import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventStreamParser, type ServerSentEvent } from '../../src/sse.js'

const STREAM =
  '\uFEFF: ping\r\n\r\nid: 1\r\nevent: job.queued\r\ndata: {"prompt":"füchsin 🦊"}\r\n\r\n' +
  'retry: 500\ndata:no space\ndata:  two spaces\ndata\n\n' +
  ': ping\n\nevent: without data\n\nid: 7\rdata: carriage returns\r\r' +
  'id: a\0b\ndata: its id is refused\nunknown: field\n\n' +
  'data: cut off by the end'

const EVENTS: ServerSentEvent[] = [
  { type: 'job.queued', data: '{"prompt":"füchsin 🦊"}', lastEventId: '1' },
  { type: 'message', data: 'no space\n two spaces\n', lastEventId: '1' },
  { type: 'message', data: 'carriage returns', lastEventId: '7' },
  { type: 'message', data: 'its id is refused', lastEventId: '7' },
]

const bytes = new TextEncoder().encode(STREAM)

function parse(chunks: Uint8Array[]): ServerSentEvent[] {
  const parser = new EventStreamParser()
  return chunks.flatMap((chunk) => parser.push(chunk))
}

test('e2: a stream says the same wherever it is cut once or twice', () => {
  const expected = JSON.stringify(EVENTS)
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]
      assert.equal(JSON.stringify(parse(chunks)), expected, `cut at ${first} and ${second}`)
    }
  }
})

test('e2: a stream says the same byte by byte', () => {
  assert.deepEqual(parse(Array.from(bytes, (byte) => Uint8Array.of(byte))), EVENTS)
})

test('e2: an event is told with the chunk that ends it, not with the next', () => {
  const parser = new EventStreamParser()
  const encoder = new TextEncoder()
  assert.equal(parser.push(encoder.encode('data: x\r\n\r')).length, 1)
  assert.equal(parser.push(encoder.encode('\n')).length, 0)
})

test('e2: an endless line or event is refused, not collected', () => {
  const chunk = new TextEncoder().encode('data: ' + 'x'.repeat(300_000))
  const line = new EventStreamParser()
  assert.throws(() => [1, 2, 3, 4].forEach(() => line.push(chunk)), RangeError)
  const event = new EventStreamParser()
  const whole = new TextEncoder().encode('data: ' + 'x'.repeat(300_000) + '\n')
  assert.throws(() => [1, 2, 3, 4].forEach(() => event.push(whole)), RangeError)
})
