import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { createImageService, type ImageJobError, type Progress } from '../../src/index.js'
import { retryAfter } from '../../src/transport.js'
import { completed, event, job, JOB, JOB_ID, json, problem, serve, streamed, type Handler } from '../support/server.js'

const EVENTS = `GET ${JOB}/events`
const READ = `GET ${JOB}`
const service = (apiUrl: string) => createImageService({ apiUrl, getToken: () => 'ij_key' })
const states = (told: Progress[]) => told.map((one) => one.status)
const unavailable: Handler = (_, response) =>
  json(response, 503, problem('TEMPORARY', 'database_unavailable', 'Later.'), { 'retry-after': '0' })

test('e2: a broken stream goes on behind the last event, whatever its cut', async (t) => {
  const { url, asked } = await serve(t, {
    [READ]: completed,
    [EVENTS]: (_, response, count) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      if (count === 1) response.write(`${event(1, 'queued')}${event(2, 'processing')}id: 3\nevent: job.gen`, () => response.destroy())
      if (count === 2) response.destroy()
      if (count >= 3) response.end(event(2, 'processing') + event(3, 'generating') + event(4, 'completed'))
    },
  })
  const told: Progress[] = []
  assert.equal((await service(url).waitForJob(JOB_ID, { onProgress: (one) => told.push(one) })).status, 'completed')
  assert.deepEqual(told.map((one) => one.event?.seq), [1, 2, 3, 4])
  const streams = asked.filter((one) => one.path.endsWith('/events'))
  assert.deepEqual(streams.map((one) => one.headers['last-event-id']), [undefined, '2', '2'])
  assert.ok(streams.every((one) => one.headers.accept === 'text/event-stream' && one.headers.authorization === 'Bearer ij_key'))
})

test('e2: the end of an earlier try is not taken for the end of the job', async (t) => {
  const { url } = await serve(t, {
    [READ]: completed,
    [EVENTS]: async (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(event(1, 'queued') + event(2, 'failed'))
      await sleep(50)
      response.end(event(3, 'queued') + event(4, 'completed'))
    },
  })
  const told: Progress[] = []
  assert.equal((await service(url).waitForJob(JOB_ID, { onProgress: (one) => told.push(one) })).status, 'completed')
  assert.deepEqual(states(told), ['queued', 'failed', 'queued', 'completed'])
})

test('e2: a kind of event that nobody knows yet is passed on and ends nothing', async (t) => {
  const lost = event(3, 'processing', { message: 'gone' }).replaceAll('job.processing', 'job.worker_lost')
  const later = 'id: 4\nevent: job.of_tomorrow\ndata: {"seq":4,"kind":"job.of_tomorrow","at":"2026-01-01T00:00:00.000Z","data":{}}\n\n'
  const parts = [event(1, 'queued'), event(2, 'processing'), lost, later, event(5, 'completed')]
  const { url } = await serve(t, { [READ]: completed, [EVENTS]: (_, response) => streamed(response, ...parts) })
  const told: Progress[] = []
  assert.equal((await service(url).waitForJob(JOB_ID, { onProgress: (one) => told.push(one) })).status, 'completed')
  assert.deepEqual(states(told), ['queued', 'processing', 'processing', 'processing', 'completed'])
  assert.deepEqual([told[2]?.event?.kind, told[2]?.event?.data['message'], told[3]?.event?.kind], ['job.worker_lost', 'gone', 'job.of_tomorrow'])
})

test('e2: a stream that stays open after the last event is left', async (t) => {
  const { url } = await serve(t, {
    [READ]: completed,
    [EVENTS]: (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(': ping\n\n' + event(1, 'completed'))
    },
  })
  assert.equal((await service(url).waitForJob(JOB_ID, { timeoutMs: 60_000 })).status, 'completed')
})

test('e2: 204 says that nothing more will come: the job tells its end', async (t) => {
  const { url, asked } = await serve(t, { [READ]: completed, [EVENTS]: (_, response) => response.writeHead(204).end() })
  assert.equal((await service(url).waitForJob(JOB_ID, { after: 5 })).status, 'completed')
  assert.deepEqual(asked.map((one) => one.headers['last-event-id']), ['5', undefined])
})

const WITHOUT_STREAM: [string, Handler][] = [
  ['a list in JSON', (_, response) => json(response, 200, { events: [] })],
  ['405', (_, response) => json(response, 405, problem('PERMANENT', 'method_not_allowed', 'No.'))],
  ['503 again and again', unavailable],
]
test('e2: where there is no stream the job is polled, and an unchanged one costs a 304', { concurrency: true }, async (t) => {
  const cases = WITHOUT_STREAM.map(([name, events]) =>
    t.test(name, async (inner) => {
      const { url, asked } = await serve(inner, {
        [EVENTS]: events,
        [READ]: (one, response, count) => {
          if (count === 2 && one.headers['if-none-match'] === '"q"') return response.writeHead(304, { etag: '"q"' }).end()
          if (count === 3) return unavailable(one, response, count)
          if (count === 4) return completed(one, response, count)
          return json(response, 200, job('queued'), { etag: '"q"' })
        },
      })
      const told: Progress[] = []
      assert.equal((await service(url).waitForJob(JOB_ID, { onProgress: (one) => told.push(one) })).status, 'completed')
      assert.deepEqual(states(told), ['queued', 'completed'])
      const reads = asked.filter((one) => one.path === JOB)
      assert.deepEqual(reads.map((one) => one.headers['if-none-match']), [undefined, '"q"', '"q"', '"q"'])
    }),
  )
  await Promise.all(cases)
})

test('e2: nonsense on the stream is not believed; the job is asked', async (t) => {
  const { url } = await serve(t, { [READ]: completed, [EVENTS]: (_, response) => streamed(response, 'data: {"seq":"x"}\n\n') })
  assert.equal((await service(url).waitForJob(JOB_ID)).status, 'completed')
})

test('e2: pollJobStatus asks so many times, and then says that the job goes on', async (t) => {
  const { url, asked } = await serve(t, { [READ]: (_, response) => json(response, 200, job('generating')) })
  await assert.rejects(service(url).pollJobStatus(JOB_ID, 3, 10), (error: ImageJobError) => {
    assert.deepEqual([error.code, error.reason, error.jobId], ['TEMPORARY', 'wait_timed_out', JOB_ID])
    return true
  })
  assert.equal(asked.length, 3)
})

test('e2: pollJobStatus ends at once where the job is not there, and says so where the service is away to the end', async (t) => {
  const { url, asked } = await serve(t, { [READ]: unavailable })
  await assert.rejects(service(url).pollJobStatus(JOB_ID, 2, 10), { reason: 'database_unavailable' })
  await assert.rejects(service(url).pollJobStatus('other', 60, 1), { reason: 'not_found', status: 404 })
  await assert.rejects(service(url).waitForJob('other'), { reason: 'not_found', status: 404 })
  assert.equal(asked.length, 4)
  await assert.rejects(service('http://127.0.0.1:9').pollJobStatus(JOB_ID, 2, 10), { reason: 'unreachable', billed: 'unknown' })
})

test('e2: Retry-After is read as seconds and as a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const read = (value: string) => retryAfter(new Headers({ 'retry-after': value }), now)
  const values = ['7', ' 0 ', 'Thu, 01 Jan 2026 00:00:09 GMT', 'Wed, 31 Dec 2025 00:00:00 GMT', 'soon']
  assert.deepEqual(values.map(read), [7, 0, 9, 0, null])
})
