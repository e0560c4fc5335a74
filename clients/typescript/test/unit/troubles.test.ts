/** What goes wrong on the way: proxies that hold back, tokens that run out, answers that are lost, waits that are left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AuthError, createImageService, type ImageJobError, type Progress } from '../../src/index.js'
import { follow } from '../../src/follow.js'
import { Transport } from '../../src/transport.js'
import { accepted, completed, event, job, JOB, JOB_ID, json, problem, serve, streamed, type Handler } from '../support/server.js'

const EVENTS = `GET ${JOB}/events`
const READ = `GET ${JOB}`
const QUICK = { firstWordMs: 1_500, silenceMs: 120_000 }
const service = (apiUrl: string) => createImageService({ apiUrl, getToken: () => 'ij_key' })
const transport = (url: string) => new Transport({ address: () => url, token: () => 'ij_key', fetch })
const thrownBy = (promise: Promise<unknown>) => promise.then(() => assert.fail('it did not fail'), (error: ImageJobError) => error)

test('e2: a proxy that holds a stream back costs one short wait, also when a job is followed once more', { concurrency: true }, async (t) => {
  const cases: [string, number, string | null][] = [
    ['from the beginning', 0, null],
    ['after a retry', 5, null],
    ['when only the first line comes through', 0, 'retry: 2000\n\n'],
  ]
  const running = cases.map(([name, after, firstWords]) =>
    t.test(name, async (inner) => {
      const { url, asked } = await serve(inner, {
        [READ]: completed,
        [EVENTS]: (_, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
          if (firstWords) response.write(firstWords)
        },
      })
      const began = performance.now()
      assert.equal((await follow(transport(url), JOB_ID, { after }, QUICK)).status, 'completed')
      assert.ok(performance.now() - began < 60_000)
      assert.deepEqual(asked.map((one) => one.path), [`${JOB}/events`, JOB])
    }),
  )
  await Promise.all(running)
})

test('e2: a stream that is alive and has no news is not given up', async (t) => {
  const { url, asked } = await serve(t, {
    [READ]: completed,
    [EVENTS]: (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('retry: 2000\n\n')
      setTimeout(() => response.end(event(6, 'completed')), 3 * QUICK.firstWordMs)
    },
  })
  assert.equal((await follow(transport(url), JOB_ID, { after: 5 }, QUICK)).status, 'completed')
  assert.equal(asked.filter((one) => one.path.endsWith('/events')).length, 1)
})

test('e2: a stream is never asked for earlier than Retry-After says', async (t) => {
  const gaps = Array.from({ length: 8 }, async () => {
    const times: number[] = []
    const { url } = await serve(t, {
      [READ]: completed,
      [EVENTS]: (_, response, count) => {
        times.push(performance.now())
        if (count === 1) return json(response, 429, problem('RATE_LIMIT', 'too_many_requests', 'Later.'), { 'retry-after': '1' })
        return streamed(response, event(1, 'completed'))
      },
    })
    await service(url).waitForJob(JOB_ID)
    return (times[1] ?? 0) - (times[0] ?? 0)
  })
  for (const gap of await Promise.all(gaps)) assert.ok(gap >= 990, `${gap} ms`)
})

test('e2: a token that runs out during a long wait is renewed, and nothing is missed', async (t) => {
  let valid = 'first'
  const guarded = (handler: Handler): Handler => (one, response, count) =>
    one.headers.authorization === `Bearer ${valid}` ? handler(one, response, count) : json(response, 401, problem('AUTH_ERROR', 'token_expired', 'Renew.'))
  const { url, asked } = await serve(t, {
    [READ]: guarded(completed),
    [EVENTS]: guarded((one, response) => {
      if (one.headers['last-event-id']) return streamed(response, event(3, 'completed'))
      valid = 'second'
      return streamed(response, event(1, 'queued'), event(2, 'generating'))
    }),
  })
  let held = 'first'
  const images = createImageService({ apiUrl: url, getToken: ({ rejected }) => (rejected === 'first' ? (held = 'second') : held) })
  const told: Progress[] = []
  await images.waitForJob(JOB_ID, { onProgress: (one) => told.push(one) })
  assert.deepEqual(told.map((one) => one.event?.seq), [1, 2, 3])
  assert.deepEqual(asked.map((one) => one.headers.authorization?.slice(7)), ['first', 'first', 'second', 'second'])
})

test('e2: a page that can get no token any more is told so, and is not left waiting', async (t) => {
  const { url, asked } = await serve(t, { [EVENTS]: (_, response) => streamed(response, event(1, 'queued')) })
  const gone = new Error('signed out')
  let calls = 0
  const images = createImageService({
    apiUrl: url,
    getToken: () => {
      calls += 1
      if (calls > 1) throw gone
      return 'ij_key'
    },
  })
  const error = await thrownBy(images.waitForJob(JOB_ID))
  assert.ok(error instanceof AuthError)
  assert.deepEqual([error.reason, error.cause, asked.length], ['token_unavailable', gone, 1])
  assert.match(error.detail, /signed out/)
})

test('c22: a retry whose answer was lost is asked for again by the same number', async (t) => {
  const receipt = { jobId: JOB_ID, status: 'queued', isPaidAlready: false, mayBuyTwice: false, estimated: 0.04 }
  const lossy: Handler = (_, response, count) => (count % 2 === 1 ? response.destroy() : json(response, 200, receipt))
  const { url, asked } = await serve(t, { [READ]: (_, response) => json(response, 200, job('failed', { retryCount: 2 })), [`POST ${JOB}/retry`]: lossy })
  assert.deepEqual(await service(url).retryJob({ jobId: JOB_ID, retryCount: 1 }), receipt)
  assert.deepEqual(await service(url).retryJob(JOB_ID), receipt)
  assert.deepEqual(
    asked.map((one) => [one.method, one.body.toString()]),
    [['POST', '{"retryCount":1}'], ['POST', '{"retryCount":1}'], ['GET', ''], ['POST', '{"retryCount":2}'], ['POST', '{"retryCount":2}']],
  )
})

test('e2: the time for a picture includes the upload of what it begins with', async (t) => {
  const { url } = await serve(t, { 'POST /api/images/inputs': () => undefined })
  const picture = new Blob(['x'], { type: 'image/png' })
  const error = await thrownBy(service(url).inpaintImage('film', picture, 'the sky', 'clouds', null, { timeoutMs: 150 }))
  assert.deepEqual([error.reason, error.jobId], ['wait_timed_out', null])
})

test('e2: a wait that is left leaves no timer and no request behind', async (t) => {
  const closed: Promise<void>[] = []
  const held = (begin: Handler): Handler => (one, response, count) => {
    closed.push(new Promise((resolve) => response.on('close', resolve)))
    return begin(one, response, count)
  }
  const silent: Handler = (_, response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(event(1, 'queued'))
  const { url, asked } = await serve(t, {
    'POST /api/images/generate': accepted,
    [EVENTS]: held(silent),
    [READ]: (_, response) => json(response, 200, job('queued')),
    'POST /api/images/inputs': held(() => undefined),
  })
  const images = service(url)
  const { getActiveResourcesInfo } = process as unknown as { getActiveResourcesInfo(): string[] }
  const timers = () => getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const leaving = new AbortController()
  const options = { signal: leaving.signal }
  const waits = [
    images.generateImage({ projectId: 'film', prompt: 'a fox' }, options),
    images.pollJobStatus(JOB_ID, 60, 60_000, options),
    images.inpaintImage('film', new Blob(['x']), 'the sky', 'clouds', null, options),
  ]
  const ends = waits.map((wait) => wait.then(() => 'made', (error: Error) => error.name))
  while (asked.length < 4 || closed.length < 2) await new Promise((resolve) => setImmediate(resolve))
  leaving.abort()
  assert.deepEqual(await Promise.all(ends), ['AbortError', 'AbortError', 'AbortError'])
  await Promise.all(closed)
  assert.equal(timers(), before)
})
