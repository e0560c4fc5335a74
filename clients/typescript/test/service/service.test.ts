import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { AuthError, createImageService, PermanentError, TemporaryError, UnknownError, type ImageJobError, type Progress } from '../../src/index.js'
import { apiUrl, images } from '../support/service.js'

const REQUEST = { projectId: 'typescript', width: 256, height: 256 }

const failureOf = (prompt: string): Promise<ImageJobError> =>
  images.generateImage({ ...REQUEST, prompt }).then(
    () => assert.fail('it did not fail'),
    (error: ImageJobError) => error,
  )

test('the running service', { concurrency: true }, async (t) => {
  const tests: [string, () => Promise<void>][] = [
    ['e1: a picture is made, told live, and can be fetched', aPicture],
    ['e1: the functions of the guide make jobs of their kinds', theGuide],
    ['e2, a7: one key makes one job, also in a race', oneKey],
    ['e2, a8: each failure is an error of its class', failures],
    ['e2, a11: a retry after a storage failure is free', aRetry],
    ['e2, a16: refusals name what is wrong', refusals],
    ['e2: a wait that is given up loses nothing', anAbort],
    ['a14: a canceled job gives a receipt and ends the wait', aCancel],
    ['e1, a14: a file is uploaded and named', anUpload],
    ['a14: the service takes every filter, and finds by it', aList],
    ['a14, f4: a price is told before, and nothing is made', aPrice],
    ['a14: a queued job is moved, and its events tell it', aPriority],
    ['a14: an unknown outcome is settled by a word', aWord],
    ['f4: a style is written, worn, listed and removed', aStyle],
    ['a14: a project and its members are made and read', aProject],
  ]
  await Promise.all(tests.map(([name, run]) => t.test(name, run)))
})

async function aPicture(): Promise<void> {
  const told: Progress[] = []
  const made = await images.generateImage({ ...REQUEST, prompt: 'a red fox [slow 1s]' }, { onProgress: (one) => told.push(one) })
  assert.equal(made.prompt, 'a red fox [slow 1s]')
  const picture = await fetch(made.imageUrl)
  assert.equal(picture.headers.get('content-type'), 'image/png')
  assert.equal((await images.getJob(made.generationId)).publicUrl, made.imageUrl)
  assert.equal(told.at(-1)?.status, 'completed')
  assert.deepEqual(told.map((one) => [one.event?.seq, one.status]), [[1, 'queued'], [2, 'processing'], [3, 'generating'], [4, 'uploading'], [5, 'completed']])
}

async function theGuide(): Promise<void> {
  const made = await Promise.all([
    images.generateAssetImageKey('typescript', 'a knight', undefined, { assetId: 'a', assetType: 'character' }),
    images.generateFrameAnchor('typescript', 'he rides', null, true, '16:9', { sceneId: 's', shotId: 't' }),
    images.generateFrameAnchor('typescript', 'he falls', null, false, '9:16', { branchId: 'b' }),
  ])
  const jobs = await Promise.all(made.map((one) => images.getJob(one.generationId)))
  assert.deepEqual(
    jobs.map((job) => [job.jobType, job.branchId, job.width, job.height]),
    [
      ['master_asset', 'main', jobs[0]?.width, jobs[0]?.height],
      ['start_frame', 'main', 1024, 576],
      ['end_frame', 'b', 576, 1024],
    ],
  )
  assert.deepEqual([jobs[0]?.assetId, jobs[0]?.assetType, jobs[1]?.sceneId], ['a', 'character', 's'])
}

async function oneKey(): Promise<void> {
  const ask = () => images.generateImage({ ...REQUEST, prompt: 'once' }, { idempotencyKey: 'one-key' })
  const made = await Promise.all([ask(), ask(), ask(), ask()])
  assert.equal(new Set(made.map((one) => one.generationId)).size, 1)
}

async function failures(): Promise<void> {
  const rows = [
    ['[refuse]', PermanentError, 'content_refused', 'no'],
    ['[unknown]', UnknownError, 'outcome_unknown', 'unknown'],
    ['[corrupt]', PermanentError, 'image_corrupt', 'yes'],
    ['[auth]', AuthError, 'provider_key_rejected', 'no'],
  ] as const
  for (const [word, kind, reason, billed] of rows) {
    const error = await failureOf(`a fox ${word}`)
    assert.ok(error instanceof kind, `${word}: ${error}`)
    assert.deepEqual([error.reason, error.billed, error.failureStage !== null, error.job?.status], [reason, billed, true, 'failed'])
  }
}

async function aRetry(): Promise<void> {
  const error = await failureOf('a fox [storage]')
  assert.ok(error instanceof TemporaryError)
  assert.deepEqual([error.reason, error.failureStage, error.retryable], ['storage_unavailable', 'uploading', true])
  const retried = await images.retryJob(error.jobId ?? '')
  assert.deepEqual([retried.isPaidAlready, retried.estimated, retried.mayBuyTwice], [true, 0, false])
}

async function refusals(): Promise<void> {
  await assert.rejects(images.generateImage({ ...REQUEST, prompt: 'x', width: 0 }), { reason: 'invalid_field', field: 'width', status: 422 })
  await assert.rejects(images.getJob('01a2055e-ee52-752c-b23a-35bc126e7450'), { reason: 'not_found', status: 404 })
  await assert.rejects(images.waitForJob('no-job'), { reason: 'not_found' })
  const stranger = createImageService({ apiUrl, getToken: () => 'ij_wrong' })
  await assert.rejects(stranger.generateImage({ ...REQUEST, prompt: 'x' }), { code: 'AUTH_ERROR', reason: 'unauthenticated', status: 401 })
}

async function anAbort(): Promise<void> {
  const leaving = new AbortController()
  const idempotencyKey = 'left-and-back'
  const request = { ...REQUEST, prompt: 'a fox [slow 5s]' }
  const onProgress = (): void => leaving.abort()
  await assert.rejects(images.generateImage(request, { signal: leaving.signal, idempotencyKey, onProgress }), { name: 'AbortError' })
  const late = images.generateImage(request, { idempotencyKey, timeoutMs: 50 })
  const error = await late.then(() => assert.fail('too early'), (thrown: ImageJobError) => thrown)
  assert.equal(error.reason, 'wait_timed_out')
  assert.equal((await images.pollJobStatus((await images.createJob(request, { idempotencyKey })).jobId)).status, 'completed')
}

async function aCancel(): Promise<void> {
  const { jobId } = await images.createJob({ ...REQUEST, prompt: 'a fox to wait [429 300s]' })
  while ((await images.getJob(jobId)).scheduledAt === null) await sleep(50)
  const waiting = images.waitForJob(jobId).catch((error: unknown) => error as ImageJobError)
  assert.equal((await images.cancelJob(jobId)).receipt.outcome, 'stopped_before_spend')
  const ended = await waiting
  assert.ok(ended instanceof PermanentError)
  assert.deepEqual([ended.reason, ended.jobId, ended.billed], ['canceled', jobId, 'no'])
}

async function anUpload(): Promise<void> {
  const made = await images.generateImage({ ...REQUEST, prompt: 'a source' })
  const picture = await (await fetch(made.imageUrl)).blob()
  const again = await images.inpaintImage('typescript', picture, 'the sky', 'clouds')
  const job = await images.getJob(again.generationId)
  assert.deepEqual([job.jobType, job.status, job.prompt], ['inpaint', 'completed', 'clouds'])
}

async function aList(): Promise<void> {
  const since = new Date().toISOString()
  const one = { projectId: 'listed', branchId: 'b', sceneId: 's', shotId: 't', assetId: 'a' }
  const { jobId, batchId } = await images.createJob({ ...REQUEST, ...one, prompt: 'x', jobType: 'start_frame', tags: ['mine'], n: 2 })
  await images.waitForJob(jobId)
  const before = new Date(Date.now() + 60_000).toISOString()
  const found = { ...one, jobType: 'start_frame', tag: 'mine', batchId: batchId ?? null, createdAfter: since, createdBefore: before } as const
  assert.equal((await images.listJobs(found)).jobs.length, 2)
  assert.deepEqual((await images.listJobs({ ...found, status: ['failed'] })).jobs, [])
  const others = [{ jobType: 'end_frame' }, { sceneId: 'x' }, { shotId: 'x' }, { assetId: 'x' }, { batchId: jobId }, { createdAfter: before }, { createdBefore: since }] as const
  for (const other of others) assert.deepEqual((await images.listJobs({ ...found, ...other })).jobs, [], JSON.stringify(other))
}

async function aPrice(): Promise<void> {
  const quote = await images.quoteJob({ ...REQUEST, projectId: 'priced', prompt: 'a fox', width: 640, n: 3 })
  assert.deepEqual([quote.provider, quote.n, quote.total, quote.obstacle], ['sketch', 3, 0, null])
  assert.deepEqual((await images.listJobs({ projectId: 'priced' })).jobs, [])
  await assert.rejects(images.quoteJob({ ...REQUEST, prompt: '' }), { reason: 'invalid_field', field: 'prompt', status: 422 })
}

async function aPriority(): Promise<void> {
  const { jobId } = await images.createJob({ ...REQUEST, prompt: 'a fox to move [429 300s]' })
  while ((await images.getJob(jobId)).scheduledAt === null) await sleep(50)
  assert.equal((await images.setPriority(jobId, 7)).priority, 7)
  const { events } = await images.listEvents(jobId)
  const last = events.at(-1)
  assert.deepEqual([last?.kind, last?.data['priority']], ['job.priority_changed', 7])
  assert.deepEqual((await images.listEvents(jobId, (last?.seq ?? 0) - 1)).events, [last])
  await images.cancelJob(jobId)
  await assert.rejects(images.setPriority(jobId, 1), { reason: 'invalid_transition', status: 409 })
}

async function aWord(): Promise<void> {
  const { jobId } = await failureOf('a fox [unknown]')
  assert.deepEqual(await images.resolveJob(jobId ?? '', false), { jobId, posted: 0 })
  assert.equal((await images.getJob(jobId ?? '')).error?.billed, 'no')
  await assert.rejects(images.resolveJob(jobId ?? '', false), { reason: 'invalid_transition', status: 409 })
}

async function aStyle(): Promise<void> {
  const words = { name: 'Noir', descriptors: ['wet asphalt'], pillars: ['hard light'] }
  const made = await images.putStyle('styled', 'film/noir', words)
  assert.deepEqual([made.styleId, made.projectId, made.name, made.pillars], ['film/noir', 'styled', 'Noir', ['hard light']])
  await images.putStyle('styled', 'second', { name: 'Second' })
  assert.deepEqual(await images.getStyle('styled', 'film/noir'), made)
  const first = await images.listStyles('styled', { limit: 1 })
  const rest = await images.listStyles('styled', { cursor: first.nextCursor })
  assert.deepEqual([...first.styles, ...rest.styles].map((style) => style.styleId), ['film/noir', 'second'])
  const quote = await images.quoteJob({ projectId: 'styled', prompt: 'a fox', visualStyleCapsuleId: 'film/noir' })
  assert.match(quote.prompt, /wet asphalt/)
  await images.deleteStyle('styled', 'film/noir')
  await assert.rejects(images.getStyle('styled', 'film/noir'), { reason: 'not_found', status: 404 })
  await assert.rejects(images.deleteStyle('styled', 'film/noir'), { reason: 'not_found', status: 404 })
}

async function aProject(): Promise<void> {
  const made = await images.putProject('made here', { name: 'The film' })
  assert.deepEqual([made.projectId, made.name, made.onUnknownOutcome], ['made here', 'The film', 'fail'])
  assert.deepEqual(await images.getProject('made here'), made)
  await images.putMember('made here', 'user-1', 'viewer')
  await images.putMember('made here', 'user-1', 'editor')
  assert.deepEqual((await images.listMembers('made here')).members.map((one) => [one.userId, one.role, one.source]), [['user-1', 'editor', 'members']])
  await images.deleteMember('made here', 'user-1')
  assert.deepEqual((await images.listMembers('made here')).members, [])
  await assert.rejects(images.getProject('nobody made this'), { reason: 'not_found', status: 404 })
}
