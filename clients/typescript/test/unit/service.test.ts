import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import {
  AuthError,
  createImageService,
  isImageJobError,
  PermanentError,
  RateLimitError,
  TemporaryError,
  UnknownError,
  type ImageJobError,
  type ImageServiceConfig,
  type JobFilter,
  type Progress,
} from '../../src/index.js'
import { sizeOf } from '../../src/service.js'
import { accepted, completed, event, job, JOB, JOB_ID, json, problem, serve, streamed, type Asked, type Handler } from '../support/server.js'

const REQUEST = { projectId: 'film', prompt: 'a fox' }
const GENERATE = 'POST /api/images/generate'
const EVENTS = `GET ${JOB}/events`

const service = (apiUrl: string, more: ImageServiceConfig = {}) => createImageService({ apiUrl, getToken: () => 'ij_key', ...more })
const bodyOf = (asked: Asked | undefined) => JSON.parse(asked?.body.toString() ?? 'null') as Record<string, unknown>
const happy: Handler = (_, response) => streamed(response, event(1, 'queued'), event(2, 'generating'), event(3, 'completed'))
const GOOD = { [GENERATE]: accepted, [EVENTS]: happy, [`GET ${JOB}`]: completed }

async function failure(promise: Promise<unknown>): Promise<ImageJobError> {
  const error: unknown = await promise.then(
    () => assert.fail('it did not fail'),
    (thrown: unknown) => thrown,
  )
  assert.ok(isImageJobError(error), String(error))
  return error
}

test('e1: generateImage gives the picture, the id and the prompt, and nothing else', async (t) => {
  const { url, asked } = await serve(t, GOOD)
  const made = await service(url).generateImage(REQUEST)
  assert.deepEqual(made, { imageUrl: 'http://127.0.0.1/files/fox.png', generationId: JOB_ID, prompt: 'a fox' })
  const { idempotencyKey, ...body } = bodyOf(asked[0])
  assert.match(String(idempotencyKey), /^ts-[0-9a-f]{32}$/)
  assert.deepEqual(body, { ...REQUEST, jobType: 'generate', branchId: 'main' })
  assert.equal(asked[0]?.headers['authorization'], 'Bearer ij_key')
})

test('e1: the functions of the guide ask for what their names say', async (t) => {
  const { url, asked } = await serve(t, GOOD)
  const images = service(url, { resolveBranch: async (project) => (project === 'film' ? 'draft' : undefined) })
  await images.generateAssetImageKey('film', 'a knight', 'style-1', { assetId: 'a1', assetType: 'character' })
  await images.generateFrameAnchor('film', 'he rides', 'style-1', undefined, undefined, { sceneId: 's', shotId: 't' })
  await images.generateFrameAnchor('other', 'he falls', null, false, '9:16', { branchId: 'b' })
  await images.inpaintImage('other', 'https://example.org/x.png', 'the sky', 'clouds')
  const bodies = asked.filter((one) => one.method === 'POST').map(bodyOf)
  const keys = new Set(bodies.map((body) => body['idempotencyKey']))
  assert.equal(keys.size, 4)
  const plain = bodies.map(({ idempotencyKey: _, ...body }) => body)
  const style = { visualStyleCapsuleId: 'style-1' }
  assert.deepEqual(plain, [
    { jobType: 'master_asset', projectId: 'film', prompt: 'a knight', ...style, assetId: 'a1', assetType: 'character', branchId: 'draft' },
    { jobType: 'start_frame', projectId: 'film', prompt: 'he rides', ...style, width: 1024, height: 576, sceneId: 's', shotId: 't', branchId: 'draft' },
    { jobType: 'end_frame', projectId: 'other', prompt: 'he falls', width: 576, height: 1024, branchId: 'b' },
    { jobType: 'inpaint', projectId: 'other', prompt: 'clouds', maskDescription: 'the sky', sourceImage: { url: 'https://example.org/x.png' }, branchId: 'main' },
  ])
})

test('e1: the picture and the mask may be files, addresses, inputs or jobs', async (t) => {
  const inputs: Handler = (one, response, count) => json(response, 201, { inputId: `input-${count}`, sizeBytes: one.body.length })
  const { url, asked } = await serve(t, { ...GOOD, 'POST /api/images/inputs': inputs })
  const images = service(url)
  const picture = new Blob([new Uint8Array([137, 80, 78, 71])], { type: 'image/png' })
  await images.inpaintImage('film & co', picture, picture, 'a hat')
  await images.inpaintImage('film', { jobId: JOB_ID }, new URL('https://example.org/m.png'), 'a hat')
  await images.inpaintImage('film', 'data:image/png;base64,iVBORw==', { inputId: 'm' }, 'a hat')
  const uploads = asked.filter((one) => one.path.startsWith('/api/images/inputs'))
  assert.deepEqual(uploads.map((one) => one.path), ['film+%26+co', 'film+%26+co', 'film'].map((id) => `/api/images/inputs?projectId=${id}`))
  assert.ok(uploads.every((one) => one.headers['content-type'] === 'image/png' && one.body.equals(Buffer.from([137, 80, 78, 71]))))
  const found = asked.filter((one) => one.path === '/api/images/generate').map(bodyOf)
  assert.deepEqual(
    found.map(({ sourceImage, mask }) => [sourceImage, mask]),
    [
      [{ inputId: 'input-1' }, { inputId: 'input-2' }],
      [{ jobId: JOB_ID }, { url: 'https://example.org/m.png' }],
      [{ inputId: 'input-3' }, { inputId: 'm' }],
    ],
  )
  const error = await failure(images.inpaintImage('film', JOB_ID, 'the sky', 'clouds'))
  assert.deepEqual([error.reason, error.field], ['invalid_field', 'image'])
})

test('e1: more than one picture is refused before anything is sent, for one call gives one', async (t) => {
  const { url, asked } = await serve(t, GOOD)
  const images = service(url)
  const two: object = { n: 2 } // as plain JavaScript passes it
  const calls = [
    images.generateImage({ ...REQUEST, ...two }),
    images.generateAssetImageKey('film', 'a knight', null, two),
    images.generateFrameAnchor('film', 'he rides', null, true, '16:9', two),
    images.inpaintImage('film', new Blob(['x']), 'the sky', 'clouds', null, two),
  ]
  for (const call of calls) {
    const error = await failure(call)
    assert.ok(error instanceof PermanentError)
    assert.deepEqual([error.reason, error.field, error.billed], ['invalid_field', 'n', 'no'])
    assert.match(error.detail, /createJob/)
  }
  assert.equal(asked.length, 0)
  const one = { n: 1 }
  assert.equal((await images.generateImage({ ...REQUEST, ...one })).generationId, JOB_ID)
})

test('a14: jobs are listed by everything that the service knows to filter by', async (t) => {
  const { url, asked } = await serve(t, { 'GET /api/images/jobs': (_, response) => json(response, 200, { jobs: [], nextCursor: null }) })
  const filter: Required<JobFilter> = {
    projectId: 'film',
    branchId: 'main',
    status: ['queued', 'failed'],
    jobType: 'start_frame',
    sceneId: 's',
    shotId: 't',
    assetId: 'a',
    batchId: JOB_ID,
    tag: 'x y',
    createdAfter: '2026-01-01T00:00:00Z',
    createdBefore: '2026-02-01T00:00:00Z',
    limit: 7,
    cursor: 'c',
  }
  await service(url).listJobs(filter)
  const query = new URL(asked[0]?.path ?? '', url).searchParams
  assert.deepEqual(query.getAll('status'), ['queued', 'failed'])
  query.delete('status')
  const { status: _, ...single } = filter
  assert.deepEqual(Object.fromEntries(query), { ...single, limit: '7' })
})

test('e1: a frame has exactly the ratio asked for', () => {
  const sizes = ['16:9', '9:16', '1:1', '4:3', '21:9', '3:2', '128:1'].map((ratio) => Object.values(sizeOf(ratio)).join('x'))
  assert.deepEqual(sizes, ['1024x576', '576x1024', '1024x1024', '1024x768', '1008x432', '1008x672', '1024x8'])
  for (const ratio of ['16/9', '0:1', '1.85:1', '129:1', '', '16:9:1']) assert.throws(() => sizeOf(ratio), PermanentError)
})

test('e2: the key survives lost answers, 503 and 429, and the wait that the service asks for is kept', async (t) => {
  const times: number[] = []
  const troubled: Handler = (one, response, count) => {
    times.push(performance.now())
    if (count === 1) return response.destroy()
    if (count === 2) return json(response, 503, problem('TEMPORARY', 'database_unavailable', 'Later.'), { 'retry-after': '0' })
    if (count === 3) return json(response, 429, problem('RATE_LIMIT', 'too_many_requests', 'Later.'), { 'retry-after': '1' })
    return accepted(one, response, count)
  }
  const { url, asked } = await serve(t, { ...GOOD, [GENERATE]: troubled })
  await service(url).generateImage(REQUEST)
  const keys = asked.filter((one) => one.method === 'POST').map((one) => bodyOf(one)['idempotencyKey'])
  assert.equal(keys.length, 4)
  assert.equal(new Set(keys).size, 1)
  assert.ok((times[3] ?? 0) - (times[2] ?? 0) >= 990)
})

test('e2: repeats end, and a wait that is too long is not begun', async (t) => {
  const { url, asked } = await serve(t, {
    [GENERATE]: (_, response) => json(response, 503, problem('TEMPORARY', 'database_unavailable', 'Later.'), { 'retry-after': '0' }),
    'POST /long/api/images/generate': (_, response) =>
      json(response, 429, problem('RATE_LIMIT', 'too_many_requests', 'Later.'), { 'retry-after': '3600' }),
  })
  assert.ok((await failure(service(url).generateImage(REQUEST))) instanceof TemporaryError)
  assert.equal(asked.length, 5)
  const error = await failure(service(`${url}/long/`).generateImage(REQUEST))
  assert.ok(error instanceof RateLimitError)
  assert.equal(error.retryAfterSeconds, 3600)
  assert.equal(asked.length, 6)
})

test('e2: a refusal becomes the class of its code, with the field, and is not repeated', async (t) => {
  const rows: [number, string, string, new (...facts: never[]) => ImageJobError][] = [
    [422, 'PERMANENT', 'invalid_field', PermanentError],
    [403, 'AUTH_ERROR', 'permission_denied', AuthError],
    [402, 'PERMANENT', 'budget_exhausted', PermanentError],
    [409, 'NEW_CODE', 'news', UnknownError],
  ]
  for (const [status, code, reason, kind] of rows) {
    const refuse: Handler = (_, response) => json(response, status, problem(code, reason, 'Because.', { field: 'width' }))
    const { url, asked } = await serve(t, { [GENERATE]: refuse })
    const error = await failure(service(url).generateImage(REQUEST))
    assert.ok(error instanceof kind)
    assert.deepEqual([error.reason, error.detail, error.message, error.field, error.status], [reason, 'Because.', 'Because.', 'width', status])
    assert.equal(asked.length, 1)
  }
})

test('e2: whatever else answers at the address is not taken for the service', async (t) => {
  const html: Handler = (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hello</h1>')
  const gone: Handler = (_, response) => response.writeHead(404).end('<h1>Nginx</h1>')
  const { url } = await serve(t, { [GENERATE]: (_, response) => json(response, 200, { ok: true }), 'GET /api/images/jobs/a': html, 'GET /api/images/jobs/b': gone })
  assert.equal((await failure(service(url).generateImage(REQUEST))).reason, 'unexpected_answer')
  assert.match((await failure(service(url).getJob('b'))).detail, /answered 404, and not as imagejobs does/)
  assert.equal((await failure(createImageService().generateImage(REQUEST))).reason, 'not_configured')
  assert.equal((await failure(service('localhost:3001').generateImage(REQUEST))).reason, 'not_configured')
})

test('e2: a refused token is asked for once more, and only once', async (t) => {
  const refuse: Handler = (one, response, count) =>
    one.headers['authorization'] === 'Bearer new' ? accepted(one, response, count) : json(response, 401, problem('AUTH_ERROR', 'unauthenticated', 'Sign in.'))
  const { url, asked } = await serve(t, { [GENERATE]: refuse })
  const told: unknown[] = []
  const renewing = createImageService({
    apiUrl: url,
    getToken: (one) => {
      told.push(one.rejected)
      return one.rejected ? 'new' : 'old'
    },
  })
  assert.equal((await renewing.createJob(REQUEST)).jobId, JOB_ID)
  assert.deepEqual(told, [undefined, 'old'])
  asked.length = 0
  let number = 0
  const error = await failure(createImageService({ apiUrl: url, getToken: () => `t${(number += 1)}` }).createJob(REQUEST))
  assert.ok(error instanceof AuthError)
  assert.equal(asked.length, 2)
  await failure(service(url).createJob(REQUEST))
  assert.equal(asked.length, 3)
})

test('e2: a failed job rejects with everything that its error says', async (t) => {
  const said = { code: 'TEMPORARY', reason: 'storage_unavailable', message: 'Later.', failureStage: 'uploading', billed: 'yes', retryable: true }
  const { url } = await serve(t, {
    ...GOOD,
    [EVENTS]: (_, response) => streamed(response, event(1, 'queued'), event(2, 'failed', said)),
    [`GET ${JOB}`]: (_, response) => json(response, 200, job('failed', { error: said })),
  })
  const error = await failure(service(url).generateImage(REQUEST))
  assert.ok(error instanceof TemporaryError)
  const { code, reason, detail, failureStage, billed, retryable, jobId, job: ended } = error
  assert.deepEqual({ code, reason, message: detail, failureStage, billed, retryable }, said)
  assert.deepEqual([jobId, ended?.status], [JOB_ID, 'failed'])
})

test('a14: every operation of the service has a function, but those for operators and browsers', async (t) => {
  const document = JSON.parse(await readFile('../../docs/reference/openapi.json', 'utf8')) as { paths: Record<string, Record<string, unknown>> }
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, 'x%2Fy')}`),
  )
  const elsewhere = ['GET /files/x%2Fy', 'GET /healthz', 'GET /readyz']
  const all = Object.assign({ jobs: [], events: [], styles: [], members: [], inputId: 'i', total: 1, posted: 0, styleId: 's', projectId: 'p', receipt: {} }, job('completed'))
  const answer: Handler = (one, response) => (one.method === 'DELETE' || one.path.includes('/members/') ? response.writeHead(204).end() : json(response, 200, all))
  const { url, asked } = await serve(t, Object.fromEntries(operations.map((one) => [one, answer])))
  const images = service(url)
  const id = 'x/y'
  await images.createJob(REQUEST)
  await images.quoteJob({ ...REQUEST, n: 2 })
  await images.getJob(id)
  await images.listJobs()
  await images.listEvents(id)
  await images.setPriority(id, 3)
  await images.retryJob({ jobId: id, retryCount: 0 })
  await images.cancelJob(id)
  await images.resolveJob(id, true)
  await images.uploadInput('film', new Blob(['x']))
  await images.listStyles(id)
  await images.getStyle(id, id)
  await images.putStyle(id, id, { name: 'Noir' })
  await images.deleteStyle(id, id)
  await images.getProject(id)
  await images.putProject(id, { name: 'The film' })
  await images.listMembers(id)
  await images.putMember(id, id, 'editor')
  await images.deleteMember(id, id)
  assert.deepEqual(new Set(asked.map((one) => `${one.method} ${one.path.split('?')[0]}`)), new Set(operations.filter((one) => !elsewhere.includes(one))))
})

test('f4: a price is asked for as the picture would be', async (t) => {
  const { url, asked } = await serve(t, { 'POST /api/images/quote': (_, response) => json(response, 200, { total: 0.08, obstacle: null }) })
  const images = service(url, { resolveBranch: () => 'draft' })
  assert.equal((await images.quoteJob({ ...REQUEST, n: 2, seed: null })).total, 0.08)
  assert.deepEqual(bodyOf(asked[0]), { ...REQUEST, jobType: 'generate', branchId: 'draft', n: 2 })
})

test('a14: what was removed by a try without an answer is not missed by the next', async (t) => {
  const style = '/api/projects/film/styles/noir'
  const gone: Handler = (_, response) => json(response, 404, problem('PERMANENT', 'not_found', 'There is no such style.'))
  const cut: Handler = (one, response, count) => (count === 1 ? response.destroy() : gone(one, response, count))
  const { url, asked } = await serve(t, { [`DELETE ${style}`]: cut })
  await service(url).deleteStyle('film', 'noir')
  assert.equal(asked.length, 2)
  const error = await failure(service((await serve(t, { [`DELETE ${style}`]: gone })).url).deleteStyle('film', 'noir'))
  assert.deepEqual([error.reason, error.status], ['not_found', 404])
  const busy: Handler = (one, response, count) =>
    count === 1 ? json(response, 429, problem('RATE_LIMIT', 'too_many_requests', 'Later.'), { 'retry-after': '0' }) : gone(one, response, count)
  const refused = await failure(service((await serve(t, { [`DELETE ${style}`]: busy })).url).deleteStyle('film', 'noir'))
  assert.equal(refused.reason, 'not_found')
  const other = await serve(t, { [`DELETE ${style}`]: (_, response) => json(response, 200, { ok: true }) })
  assert.equal((await failure(service(other.url).deleteStyle('film', 'noir'))).reason, 'unexpected_answer')
})

test('e2: cancel and retry give their receipts', async (t) => {
  const receipt = { outcome: 'stop_requested', mayCost: 0.04, publicUrl: null }
  const { url } = await serve(t, {
    [`POST ${JOB}/cancel`]: (_, response) => json(response, 202, { jobId: JOB_ID, status: 'generating', receipt }),
    [`POST ${JOB}/retry`]: (_, response) => json(response, 202, { jobId: JOB_ID, status: 'queued', isPaidAlready: true, mayBuyTwice: false, estimated: 0 }),
    [EVENTS]: (_, response) => streamed(response, event(1, 'queued'), event(2, 'canceled')),
    [`GET ${JOB}`]: (_, response) => json(response, 200, job('canceled')),
  })
  assert.deepEqual((await service(url).cancelJob(JOB_ID)).receipt, receipt)
  assert.equal((await service(url).retryJob(JOB_ID)).isPaidAlready, true)
  const error = await failure(service(url).waitForJob(JOB_ID))
  assert.deepEqual([error.code, error.reason, error.billed], ['PERMANENT', 'canceled', 'unknown'])
})

test('e2: an aborted signal ends the call with its own reason, wherever the call stands', async (t) => {
  const never: Handler = () => undefined
  const silent: Handler = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(event(1, 'queued'))
  }
  const scripts: Record<string, Handler>[] = [
    { [GENERATE]: never },
    { [GENERATE]: (_, response) => json(response, 503, problem('TEMPORARY', 'database_unavailable', 'Later.'), { 'retry-after': '20' }) },
    { [GENERATE]: accepted, [EVENTS]: never },
    { [GENERATE]: accepted, [EVENTS]: silent },
    { [GENERATE]: accepted, [EVENTS]: (_, response) => json(response, 200, { events: [] }), [`GET ${JOB}`]: never },
  ]
  for (const script of scripts) {
    const { url, asked } = await serve(t, script)
    const controller = new AbortController()
    const reason = new Error('the person left')
    const call = service(url).generateImage(REQUEST, { signal: controller.signal })
    const last = Object.keys(script).length
    const timer = setInterval(() => asked.length >= last && controller.abort(reason), 20)
    await assert.rejects(call, (error) => error === reason)
    clearInterval(timer)
  }
})

test('e2: every wait ends, also with a fetch that never answers and hears no signal', async () => {
  const images = service('http://127.0.0.1:9', { fetch: () => new Promise(() => undefined), timeoutMs: 150 })
  const began = performance.now()
  assert.equal((await failure(images.generateImage(REQUEST))).reason, 'wait_timed_out')
  assert.equal((await failure(images.waitForJob(JOB_ID))).jobId, JOB_ID)
  assert.ok(performance.now() - began < 20_000)
})

test('e2: progress is told in order and without repeats; what the page throws is the page\'s own', async (t) => {
  const { url } = await serve(t, GOOD)
  const told: Progress[] = []
  await service(url).generateImage(REQUEST, { onProgress: (one) => told.push(one) })
  assert.deepEqual(told.map((one) => [one.jobId, one.status, one.event?.seq]), [1, 2, 3].map((seq) => [JOB_ID, ['queued', 'generating', 'completed'][seq - 1], seq]))
  const mistake = new TypeError('a mistake of the page')
  const call = service(url).generateImage(REQUEST, {
    onProgress: () => {
      throw mistake
    },
  })
  await assert.rejects(call, (error) => error === mistake)
})
