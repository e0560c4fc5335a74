import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createImageService } from '../../src/index.js'
import { completed, JOB, JOB_ID, json, serve, type Handler } from '../support/server.js'

const soon = () => Math.floor(Date.now() / 1000) + 3600
const REFRESH = 'POST /auth/v1/token'

function stored(name: string, session: unknown): Pick<Storage, 'getItem' | 'setItem'> & { value: string } {
  return {
    value: typeof session === 'string' ? session : JSON.stringify(session),
    getItem(key) {
      return key === name ? this.value : null
    },
    setItem(key, value) {
      assert.equal(key, name)
      this.value = value
    },
  }
}

test('e3: the token of a stored Supabase session is sent', async (t) => {
  const { url, asked } = await serve(t, { [`GET ${JOB}`]: completed })
  const storage = stored('sb-abcdefgh-auth-token', { access_token: 'jwt', expires_at: soon() })
  await createImageService({ apiUrl: url, supabaseUrl: 'https://abcdefgh.supabase.co', storage }).getJob(JOB_ID)
  assert.equal(asked[0]?.headers['authorization'], 'Bearer jwt')
})

test('e3: a stored session that ran out, or is refused, is renewed once and kept where supabase-js finds it', async (t) => {
  const renew: Handler = (_, response, count) => json(response, 200, { access_token: `new-${count}`, refresh_token: `r-${count}`, expires_in: 3600 })
  const job: Handler = (one, response, count) =>
    one.headers['authorization'] === 'Bearer revoked' ? json(response, 401, {}) : completed(one, response, count)
  const { url, asked } = await serve(t, { [`GET ${JOB}`]: job, [REFRESH]: renew })
  const storage = stored('sb-127-auth-token', { access_token: 'old', refresh_token: 'r-0', expires_at: 1 })
  const images = createImageService({ apiUrl: url, supabaseUrl: `${url}/`, supabaseAnonKey: 'anon', storage })
  await images.getJob(JOB_ID)
  await images.getJob(JOB_ID)
  storage.setItem('sb-127-auth-token', JSON.stringify({ access_token: 'revoked', refresh_token: 'r-1', expires_at: soon() }))
  await images.getJob(JOB_ID)
  const renewals = asked.filter((one) => one.method === 'POST')
  assert.deepEqual(renewals.map((one) => [one.path, one.headers['apikey'], one.body.toString()]), [
    ['/auth/v1/token?grant_type=refresh_token', 'anon', '{"refresh_token":"r-0"}'],
    ['/auth/v1/token?grant_type=refresh_token', 'anon', '{"refresh_token":"r-1"}'],
  ])
  const kept = JSON.parse(storage.value) as { access_token: string; expires_at: number }
  assert.equal(kept.access_token, 'new-2')
  assert.ok(kept.expires_at > Date.now() / 1000 + 3500)
})

test('e3: without a usable session nobody asks, and the service says so', async (t) => {
  const { url, asked } = await serve(t, { [`GET ${JOB}`]: (_, response) => json(response, 401, {}), [REFRESH]: (_, response) => json(response, 400, {}) })
  const spent = { access_token: 'old', refresh_token: 'r', expires_at: 1 }
  for (const session of ['', 'no json', '"text"', spent]) {
    const storage = stored('sb-127-auth-token', session)
    await assert.rejects(createImageService({ apiUrl: url, supabaseUrl: url, supabaseAnonKey: 'a', storage }).getJob(JOB_ID), { code: 'AUTH_ERROR' })
  }
  const sent = asked.filter((one) => one.method === 'GET').map((one) => one.headers['authorization'])
  assert.deepEqual(sent, [undefined, undefined, undefined, 'Bearer old'])
  await assert.rejects(createImageService({ apiUrl: url, supabaseUrl: 'abcdefgh' }).getJob(JOB_ID), { reason: 'not_configured' })
})

test('e3: a supabase-js client is asked each time, and to renew a refused token', async (t) => {
  const job: Handler = (one, response, count) =>
    one.headers['authorization'] === 'Bearer renewed' ? completed(one, response, count) : json(response, 401, {})
  const { url } = await serve(t, { [`GET ${JOB}`]: job })
  const of = (access_token: string) => async () => ({ data: { session: { access_token } } })
  const images = createImageService({ apiUrl: url, supabase: { auth: { getSession: of('stale'), refreshSession: of('renewed') } } })
  assert.equal((await images.getJob(JOB_ID)).status, 'completed')
})
