/** The page: a form that asks, and a card for each picture asked for. */
import { createImageService } from 'imagejobs'
import { Card } from './card.js'
import { FAULTS } from './words.js'

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T
const form = find<HTMLFormElement>('ask')
const prompt = find<HTMLTextAreaElement>('prompt')
const api = find<HTMLInputElement>('api')
const key = find<HTMLInputElement>('key')

api.value = sessionStorage.getItem('api') ?? import.meta.env['VITE_API_URL'] ?? 'http://127.0.0.1:3001'
key.value = sessionStorage.getItem('key') ?? ''
const isSignedIn = Object.keys(localStorage).some((name) => /^sb-.+-auth-token$/.test(name))
find<HTMLDetailsElement>('access').open = key.value === '' && !isSignedIn
for (const [name, field] of Object.entries({ api, key })) {
  field.addEventListener('change', () => sessionStorage.setItem(name, field.value.trim()))
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
  const given = key.value.trim()
  const address = api.value.trim()
  const images = createImageService({
    apiUrl: address === import.meta.env['VITE_API_URL'] ? undefined : address, // the client knows the variables by itself
    getToken: given ? () => given : undefined,
  })
  const request = { projectId: 'example', prompt: prompt.value.trim(), width: width ?? 512, height: height ?? 512 }
  const card = new Card(images, request, find<HTMLTemplateElement>('card'))
  find('empty').hidden = true
  find('gallery').prepend(card.element)
  void card.start()
})
