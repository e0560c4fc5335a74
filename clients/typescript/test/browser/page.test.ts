import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { readFile, mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core'
import { apiKey, apiUrl, images } from '../support/service.js'

const ROOT = 'build/example'
const PORT = Number(process.env['PAGE_PORT'])
const SHOTS = process.env['SCREENSHOTS'] // a folder; for looking at the page
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }
const ARGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

let browser: Browser
const servers: Server[] = []

before(async () => {
  servers.push(await pageOn(PORT), await pageOn(0))
  browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ARGS })
})

after(async () => {
  await browser?.close()
  for (const server of servers) server.close()
})

function pageOn(port: number): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname
    const file = join(ROOT, path === '/' ? 'index.html' : path)
    const content = await readFile(file).catch(() => null)
    response.writeHead(content ? 200 : 404, { 'content-type': TYPES[extname(file)] ?? 'text/plain' }).end(content)
  })
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)))
}

function origin(index = 0): string {
  const address = servers[index]?.address()
  assert.ok(address && typeof address === 'object')
  return `http://127.0.0.1:${address.port}`
}

async function opened(t: { after(end: () => Promise<void>): void }, options: BrowserContextOptions = {}, index = 0): Promise<Page> {
  const context = await browser.newContext(options)
  t.after(() => context.close())
  return tab(context, index)
}

async function tab(context: BrowserContext, index = 0): Promise<Page> {
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  page.on('pageerror', (error) => assert.fail(error))
  await page.goto(origin(index))
  return page
}

async function enter(page: Page, key = apiKey): Promise<void> {
  await page.getByLabel('API key').fill(key)
  await page.getByLabel('API key').blur()
}

async function ask(page: Page, prompt: string): Promise<void> {
  await page.getByLabel('What should it show?').fill(prompt)
  await page.getByRole('button', { name: 'Make the picture' }).click()
}

const card = (page: Page, prompt: string) => page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: prompt, exact: true }) })

const made = async (prompt: string) => (await images.listJobs({ projectId: 'example', limit: 100 })).jobs.filter((job) => job.prompt === prompt)

async function shot(page: Page, name: string): Promise<void> {
  if (!SHOTS) return
  await mkdir(SHOTS, { recursive: true })
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true })
}

test('a15: a page of an allowed origin reads what it needs, preflight included', async (t) => {
  const page = await opened(t)
  const read = await page.evaluate(
    async ([api, key]) => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': 'from-a-page' }
      const body = JSON.stringify({ projectId: 'page', jobType: 'generate', prompt: 'a fox', width: 64, height: 64 })
      const made = await fetch(`${api}/api/images/generate`, { method: 'POST', headers, body })
      const again = await fetch(`${api}/api/images/generate`, { method: 'POST', headers, body })
      const location = made.headers.get('location')
      const job = await fetch(`${api}${location}`, { headers: { authorization: `Bearer ${key}` } })
      const etag = job.headers.get('etag') ?? ''
      const last = { authorization: `Bearer ${key}`, 'if-none-match': etag, 'last-event-id': '0', accept: 'text/event-stream' }
      const events = await fetch(`${api}${location}/events`, { headers: last })
      await events.body?.cancel()
      return [made.status, location, again.headers.get('idempotent-replayed'), etag, events.ok]
    },
    [apiUrl, apiKey] as const,
  )
  assert.equal(read[0], 202)
  assert.match(String(read[1]), /^\/api\/images\/jobs\/[0-9a-f-]{36}$/)
  assert.equal(read[2], 'true')
  assert.match(String(read[3]), /^"\w+"$/)
  assert.equal(read[4], true)
  const answer = await fetch(`${apiUrl}/healthz`, { headers: { origin: origin() } })
  const exposed = answer.headers.get('access-control-expose-headers')?.toLowerCase().split(/,\s*/) ?? []
  for (const name of ['location', 'retry-after', 'etag', 'idempotent-replayed']) assert.ok(exposed.includes(name), name)
})

test('a15: a page of another origin is kept out, and says so', async (t) => {
  const page = await opened(t, {}, 1)
  const problem = await page.evaluate((api) => fetch(`${api}/healthz`).then(() => 'read', () => 'kept out'), apiUrl)
  assert.equal(problem, 'kept out')
})

test('e3: the address comes from VITE_API_URL; a picture arrives with its states, its time and its cost', async (t) => {
  const page = await opened(t, { viewport: { width: 1280, height: 900 } })
  assert.equal(await page.getByLabel('Address of the service').inputValue(), apiUrl)
  await page.getByLabel('API key').fill(apiKey)
  await ask(page, 'a calm sea [slow 6s]')
  const one = card(page, 'a calm sea [slow 6s]')
  await one.getByText('Being made').waitFor()
  assert.equal(await one.locator('[aria-current=step]').textContent(), 'Make')
  await one.getByText('Here it is').waitFor()
  const picture = one.getByRole('img', { name: 'a calm sea [slow 6s]' })
  await picture.waitFor()
  assert.equal(await picture.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth)), 768)
  const facts = await one.locator('.facts').innerText()
  assert.match(facts, /768 × 768[\s\S]*\d s[\s\S]*free|free[\s\S]*768 × 768/)
  assert.equal(await one.getByRole('link', { name: 'Open the picture' }).count(), 1)
})

const FAILURES: [word: string, title: string, fact: string][] = [
  ['[refuse]', 'The provider refuses this description', 'Not billed'],
  ['[unknown]', 'Nobody knows whether it was made', 'Perhaps billed'],
  ['[corrupt]', 'The picture arrived damaged', 'Billed'],
  ['[html]', 'What arrived is no picture', 'Billed'],
  ['[bomb]', 'What arrived is too large', 'Billed'],
  ['[429]', 'Too much at once for the provider', 'Not billed'],
  ['[503]', 'The provider is overloaded', 'Not billed'],
  ['[offline]', 'The provider cannot be reached', 'Not billed'],
  ['[storage]', 'The picture could not be stored', 'Billed'],
  ['[credit]', 'The provider’s account is empty', 'Not billed'],
  ['[auth]', 'The service’s key is not accepted', 'Not billed'],
]

test('e2: each failure says what happened and what it cost; a retry says what it will', async (t) => {
  const page = await opened(t, { viewport: { width: 1280, height: 900 } })
  await page.getByLabel('API key').fill(apiKey)
  for (const [word] of FAILURES) await ask(page, `a fox ${word}`)
  for (const [word, title, fact] of FAILURES) {
    const one = card(page, `a fox ${word}`)
    await one.getByText(title).waitFor()
    await one.getByText(fact, { exact: true }).waitFor()
  }
  const one = card(page, 'a fox [storage]')
  await one.getByRole('button', { name: /^Try again/ }).click()
  await one.getByText('Retry: paid already, storing it is free').waitFor()
  await one.getByText('The picture could not be stored').waitFor()
})

test('e2: a wrong key and a description that is refused at once are said on the card', async (t) => {
  const page = await opened(t)
  await page.getByLabel('API key').fill('ij_wrong')
  await ask(page, 'a fox')
  await card(page, 'a fox').getByText('Please say who you are').waitFor()
  assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes('ij_wrong'))
  await page.getByLabel('API key').fill(apiKey)
  await card(page, 'a fox').getByRole('button', { name: /^Send again/ }).click()
  await card(page, 'a fox').getByText('Here it is').waitFor()
})

test('e2: a reloaded page comes back to its job, another tab shows it, and a lost answer makes no second one', async (t) => {
  const page = await opened(t)
  await enter(page)
  let isLost = false
  await page.route('**/api/images/generate', async (route) => {
    const answer = await route.fetch()
    if (isLost) return route.fulfill({ response: answer })
    isLost = true
    return route.abort('connectionreset')
  })
  const prompt = 'a fox to come back to [slow 6s]'
  await ask(page, prompt)
  await card(page, prompt).getByText('Being made').waitFor()
  await page.reload()
  await card(page, prompt).getByText('Here it is').waitFor()
  const other = await tab(page.context())
  await enter(other)
  await card(other, prompt).getByRole('img', { name: prompt }).waitFor()
  assert.equal(await made(prompt).then((jobs) => jobs.length), 1)
})

test('c22: a double click and a second tab retry a failure once', async (t) => {
  const page = await opened(t)
  const prompt = 'a fox for two tabs [storage]'
  await enter(page)
  await ask(page, prompt)
  const failed = (one: Page) => card(one, prompt).getByText('The picture could not be stored')
  await failed(page).waitFor()
  const other = await tab(page.context())
  await enter(other)
  await failed(other).waitFor()
  for (const one of [page, other]) await card(one, prompt).getByRole('button', { name: /^Try again/ }).dblclick()
  for (const one of [page, other]) {
    await card(one, prompt).getByText('Retry: paid already, storing it is free').waitFor()
    await failed(one).waitFor()
  }
  assert.deepEqual(await made(prompt).then((jobs) => jobs.map((job) => job.retryCount)), [1])
})

test('e2: more pictures wait in two tabs than a browser has connections, and the page can still act', async (t) => {
  const page = await opened(t)
  const other = await tab(page.context())
  for (const one of [page, other]) {
    await enter(one)
    for (let number = 1; number <= 4; number += 1) await ask(one, `fox ${number} of many, ${one === page ? 'here' : 'there'} [429 300s]`)
  }
  const last = card(page, 'fox 4 of many, here [429 300s]')
  await last.getByRole('button', { name: /^Cancel/ }).click()
  await last.getByText('Stopped before anything was spent').waitFor()
  await last.getByText('Canceled', { exact: true }).waitFor()
})

test('e3: a page with a Supabase session needs no key', async (t) => {
  const page = await opened(t)
  const session = JSON.stringify({ access_token: apiKey, refresh_token: 'r', expires_at: 4_000_000_000 })
  await page.evaluate((text) => localStorage.setItem('sb-abcdefgh-auth-token', text), session)
  await page.reload()
  await ask(page, 'a signed-in fox')
  await card(page, 'a signed-in fox').getByText('Here it is').waitFor()
})

test('a14: a job is canceled from the page, with a receipt', async (t) => {
  const page = await opened(t)
  await page.getByLabel('API key').fill(apiKey)
  await ask(page, 'a fox for the page [429 300s]')
  const one = card(page, 'a fox for the page [429 300s]')
  await one.getByText('Waiting for the next try').waitFor()
  await one.getByRole('button', { name: /^Cancel/ }).click()
  await one.getByText('Stopped before anything was spent').waitFor()
  await one.getByText('Canceled', { exact: true }).waitFor()
  assert.deepEqual(await one.locator('.facts li').allTextContents(), ['Stopped before anything was spent'])
})

test('a long description can be read whole, and runs in its own direction', async (t) => {
  const page = await opened(t)
  await enter(page)
  const prompt = 'ثعلب أحمر في الثلج '.repeat(20).trim()
  await ask(page, prompt)
  const heading = card(page, prompt).getByRole('heading')
  const height = () => heading.evaluate((one) => one.clientHeight)
  const before = await height()
  await card(page, prompt).getByRole('button', { name: 'All of it' }).click()
  assert.ok((await height()) > before)
  assert.equal(await heading.evaluate((one) => getComputedStyle(one).direction), 'rtl')
})

const LOOKS = [['light', 390], ['dark', 1280], ...(SHOTS ? ([['light', 1280], ['dark', 390]] as const) : [])] as const
for (const [colorScheme, width] of LOOKS) {
  test(`the page is accessible and nothing overflows, ${colorScheme}, ${width} wide`, async (t) => {
    const page = await opened(t, { viewport: { width, height: 844 }, colorScheme, reducedMotion: 'reduce' })
    await shot(page, `empty-${colorScheme}-${width}`)
    await page.getByLabel('API key').fill(apiKey)
    await page.getByText('Rehearse a bad day').click()
    const throttled = `stones, ${colorScheme} ${width} [429 300s]`
    const prompts = ['a lighthouse at dusk, calm sea', 'mountains in the morning', 'a fox [refuse]', 'a fox [corrupt]', 'a quiet harbor [slow 5s]']
    for (const prompt of [...prompts, throttled]) await ask(page, prompt)
    await card(page, 'a fox [corrupt]').getByText('The picture arrived damaged').waitFor()
    await card(page, 'mountains in the morning').getByRole('img').waitFor()
    await card(page, throttled).getByText(/Next try|In the queue/).waitFor()
    await shot(page, `full-${colorScheme}-${width}`)
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth))
    await page.addScriptTag({ path: axe })
    const found = await page.evaluate(async () => {
      const { violations } = await (window as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run()
      return violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`)
    })
    assert.deepEqual(found, [])
  })
}

test('the page works by keyboard, and announces a state once', async (t) => {
  const page = await opened(t)
  await page.getByLabel('API key').fill(apiKey)
  await page.getByLabel('What should it show?').focus()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Make the picture')
  await page.keyboard.press('Enter')
  const one = card(page, 'a lighthouse at dusk, calm sea')
  await one.getByText('Here it is').waitFor()
  assert.equal(await one.getByRole('status').count(), 1)
})
