/** The page: a form that asks, and a card for each picture asked for. */
import { createImageService, newIdempotencyKey } from 'imagejobs'
import { Card } from './card.js'
import { forget, remember, remembered, type Asked } from './memory.js'
import { FAULTS } from './words.js'

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T
const form = find<HTMLFormElement>('ask')
const prompt = find<HTMLTextAreaElement>('prompt')
const api = find<HTMLInputElement>('api')
const key = find<HTMLInputElement>('key')
const cards = new Map<string, Card>()

api.value = sessionStorage.getItem('api') ?? import.meta.env['VITE_API_URL'] ?? 'http://127.0.0.1:3001'
key.value = sessionStorage.getItem('key') ?? ''

const address = (): string => api.value.trim()
const isSignedIn = (): boolean => key.value.trim() !== '' || Object.keys(localStorage).some((name) => /^sb-.+-auth-token$/.test(name))

/** As the fields stand now, so that a key which was mistyped can be corrected. */
function service() {
  const given = key.value.trim()
  return createImageService({
    apiUrl: address() === import.meta.env['VITE_API_URL'] ? undefined : address(), // the client knows the variables by itself
    getToken: given ? () => given : undefined,
  })
}

function show(asked: Asked): Card {
  const card = new Card(service, asked, find<HTMLTemplateElement>('card'))
  cards.set(asked.idempotencyKey, card)
  find('gallery').prepend(card.element)
  showWhatIsThere()
  card.unfold()
  return card
}

function showWhatIsThere(): void {
  find('empty').hidden = cards.size > 0
  find('forget').hidden = cards.size === 0
}

function leave(): void {
  for (const card of cards.values()) card.leave()
  cards.clear()
  find('gallery').replaceChildren()
  showWhatIsThere()
}

/** Come back to what was asked for before a reload. */
function comeBack(): void {
  if (isSignedIn()) for (const asked of remembered(address())) if (!cards.has(asked.idempotencyKey)) void show(asked).resume()
}

/** Another tab asked for something; it is shown here once it has a job. */
function comeAlong(): void {
  if (isSignedIn()) for (const asked of remembered(address())) if (asked.jobId && !cards.has(asked.idempotencyKey)) void show(asked).resume()
}

for (const [name, field] of Object.entries({ api, key })) {
  field.addEventListener('change', () => {
    sessionStorage.setItem(name, field.value.trim())
    if (field === api) leave()
    comeBack()
  })
}

for (const [word, name] of FAULTS) {
  const chip = document.createElement('button')
  chip.type = 'button'
  chip.append(name, ' ', Object.assign(document.createElement('code'), { textContent: word }))
  chip.addEventListener('click', () => {
    prompt.value = `${prompt.value.replace(/\s*\[[^\]]*\]\s*$/, '')} ${word}`.trim()
    prompt.focus()
  })
  find('faults').append(chip)
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const [width, height] = find<HTMLSelectElement>('ratio').value.split('x').map(Number)
  const request = { projectId: 'example', prompt: prompt.value.trim(), width: width ?? 512, height: height ?? 512 }
  const asked: Asked = { api: address(), idempotencyKey: newIdempotencyKey(), request, jobId: null }
  remember(asked)
  const card = show(asked)
  card.element.scrollIntoView({ block: 'nearest' }) // on a small screen it would appear out of sight
  void card.start()
})

find('forget').addEventListener('click', () => {
  forget(address())
  leave()
  prompt.focus()
})

window.addEventListener('storage', comeAlong)
find<HTMLDetailsElement>('access').open = !isSignedIn()
comeBack()
