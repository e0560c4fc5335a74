/** One job as a card: it follows the job, shows how it stands, and offers what can be done. */
import { isImageJobError, type AnyImageJobError, type ImageService, type JobBody, type JobStatus, type Progress } from 'imagejobs'
import { remember, type Asked } from './memory.js'
import { BILLED, credits, RECEIPTS, STATES, STEP_NAMES, STEPS, titleOf } from './words.js'

export class Card {
  readonly element: HTMLElement
  readonly #images: () => ImageService
  readonly #asked: Asked
  readonly #leaving = new AbortController()
  #jobId: string | null = null
  #seq = 0
  #facts = new Map<string, string>()

  constructor(images: () => ImageService, asked: Asked, template: HTMLTemplateElement) {
    this.#images = images
    this.#asked = asked
    this.#jobId = asked.jobId
    const { request } = asked
    const copy = template.content.cloneNode(true) as DocumentFragment
    this.element = copy.querySelector('li') as HTMLElement
    this.#find('.prompt').textContent = request.prompt
    this.#find('.frame').style.aspectRatio = `${request.width} / ${request.height}`
    for (const step of STEPS) this.#find('.steps').append(made('li', STEP_NAMES[step] ?? step))
  }

  /** Ask for the picture and follow it to its end; again is harmless, for the key is the same. */
  async start(): Promise<void> {
    this.#restart('Sending', 'The service writes it down.')
    await this.#attempt(async () => {
      const { request, idempotencyKey } = this.#asked
      const { jobId } = await this.#images().createJob(request, { idempotencyKey, signal: this.#leaving.signal })
      this.#jobId = jobId
      remember({ ...this.#asked, jobId })
      this.#tell({ jobId, status: 'queued', event: null })
      void this.#quote(jobId)
      await this.#follow(jobId)
    })
  }

  /** Come back to a job, wherever it stands by now. */
  async resume(): Promise<void> {
    const jobId = this.#jobId
    if (jobId) return this.#lookAgain(jobId)
    this.#say('failed', 'Perhaps never sent', 'The page was left before the service had answered. Sent again, it is made once.')
    this.#offer(['Send again', () => this.start()])
  }

  /** Once it stands in the page: let a description that is cut short be read. */
  unfold(): void {
    const prompt = this.#find('.prompt')
    const more = this.element.querySelector('.more') as HTMLButtonElement
    more.hidden = prompt.scrollHeight <= prompt.clientHeight
    more.onclick = () => {
      const isWhole = prompt.classList.toggle('whole')
      more.textContent = isWhole ? 'Less' : 'All of it'
      more.setAttribute('aria-expanded', String(isWhole))
    }
  }

  /** Stop waiting; the job goes on. */
  leave(): void {
    this.#leaving.abort()
  }

  async #lookAgain(jobId: string): Promise<void> {
    this.#restart('Looking', 'How does it stand?')
    await this.#attempt(() => this.#follow(jobId))
  }

  async #follow(jobId: string): Promise<void> {
    this.#offer(['Cancel', () => this.#cancel(jobId)])
    const { signal } = this.#leaving
    const onProgress = (progress: Progress): void => this.#tell(progress)
    this.#show(await this.#images().waitForJob(jobId, { signal, onProgress, after: this.#seq }))
  }

  async #cancel(jobId: string): Promise<void> {
    try {
      const { receipt } = await this.#images().cancelJob(jobId)
      const cost = receipt.outcome === 'stop_requested' && receipt.mayCost ? ` (${credits(receipt.mayCost)})` : ''
      this.#note('cancel', `${RECEIPTS[receipt.outcome]}${cost}`)
      this.#offer()
    } catch (error) {
      this.#note('cancel', isImageJobError(error) ? error.detail : String(error))
    }
  }

  async #retry(failed: JobBody): Promise<void> {
    this.#restart('Trying again', '')
    await this.#attempt(async () => {
      const receipt = await this.#images().retryJob(failed)
      const cost = receipt.estimated === null ? 'cost unknown' : credits(receipt.estimated)
      const again = receipt.mayBuyTwice ? 'Retry: the first try may be charged too' : `Retry: ${cost}`
      this.#note('retry', receipt.isPaidAlready ? 'Retry: paid already, storing it is free' : again)
      await this.#follow(failed.jobId)
    })
  }

  #restart(title: string, detail: string): void {
    this.#facts.clear()
    this.#showFacts()
    this.#step(null)
    this.#say('waiting', title, detail)
    this.#offer()
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (this.#leaving.signal.aborted) return
      if (!isImageJobError(error)) throw error
      this.#fail(error)
    }
  }

  async #quote(jobId: string): Promise<void> {
    const job = await this.#images().getJob(jobId).catch(() => null)
    if (job && job.cost.estimated !== null && !this.#facts.has('cost')) this.#note('cost', `Estimate: ${credits(job.cost.estimated)}`)
  }

  #tell({ status, event }: Progress): void {
    this.#seq = event?.seq ?? this.#seq
    if (status === 'failed' || status === 'canceled' || status === 'completed') return // the whole job follows
    const [title, detail] = STATES[status]
    const seconds = event?.data['retryInSeconds']
    const again = typeof seconds === 'number' ? `${String(event?.data['message'] ?? '')} Next try in ${seconds.toFixed(1)} s.` : detail
    this.#step(status)
    this.#say('waiting', typeof seconds === 'number' ? 'Waiting for the next try' : title, again)
  }

  #show(job: JobBody): void {
    this.#step('completed')
    const picture = this.element.querySelector('img') as HTMLImageElement
    picture.alt = job.prompt
    picture.src = job.publicUrl ?? ''
    picture.hidden = false
    picture.onerror = () => {
      picture.hidden = true
      this.#say('failed', 'It is made, and cannot be shown', 'The picture does not load from its address. Is the storage reachable, and public?')
    }
    const seconds = (Date.parse(job.completedAt ?? job.updatedAt) - Date.parse(job.createdAt)) / 1000
    if (job.image) this.#note('size', `${job.image.width} × ${job.image.height}`)
    this.#note('time', `${seconds.toFixed(1)} s`)
    this.#note('cost', job.cost.actual === null ? 'Cost unknown' : `Cost: ${credits(job.cost.actual)}`)
    this.#say('completed', STATES.completed[0], '')
    this.#offer()
    this.#find('.actions').append(link('Open the picture', picture.src))
  }

  #fail(error: AnyImageJobError): void {
    const detail = error.reason === 'unreachable' ? `${error.detail} Is it running, and does it let in pages of ${location.origin}?` : error.detail
    const kind = error.reason === 'canceled' ? 'canceled' : error.reason === 'wait_timed_out' ? 'waiting' : 'failed'
    this.#say(kind, titleOf(error), detail)
    if (kind !== 'canceled' || !this.#facts.has('cancel')) this.#note('billed', BILLED[error.billed]) // the receipt says it too
    if (error.failureStage) {
      this.#step(error.failureStage === 'persisting' ? 'uploading' : error.failureStage)
      this.#note('stage', `Failed while ${error.failureStage}`)
    }
    if (error.job) this.#facts.delete('cost') // the estimate
    if (error.job?.cost.actual) this.#note('cost', `Cost: ${credits(error.job.cost.actual)}`)
    if (kind !== 'canceled') this.#note('code', `${error.code} · ${error.reason}`)
    this.#showFacts()
    const { job } = error
    const jobId = this.#jobId
    if (kind === 'canceled') this.#offer()
    else if (job) this.#offer([error.retryable ? 'Try again' : 'Try all the same', () => this.#retry(job)])
    else if (jobId) this.#offer(['Look again', () => this.#lookAgain(jobId)])
    else this.#offer(['Send again', () => this.start()])
  }

  /** The rail shows how far it came; a job that is tried again goes back to its beginning. */
  #step(status: JobStatus | null): void {
    const reached = status ? STEPS.indexOf(status) : -1
    const steps = this.#find('.steps').children
    for (const [index, step] of Array.from(steps).entries()) {
      step.classList.toggle('done', index < reached || status === 'completed')
      step.toggleAttribute('aria-current', false)
      if (index === reached) step.setAttribute('aria-current', 'step')
    }
  }

  #say(kind: 'waiting' | 'completed' | 'failed' | 'canceled', title: string, detail: string): void {
    this.element.dataset['kind'] = kind
    this.#find('.title').textContent = title
    this.#find('.detail').textContent = detail
    this.#find('.glyph').textContent = kind === 'failed' ? '!' : kind === 'canceled' ? '–' : ''
  }

  #note(name: string, text: string): void {
    this.#facts.set(name, text)
    this.#showFacts()
  }

  #showFacts(): void {
    this.#find('.facts').replaceChildren(...Array.from(this.#facts, ([key, value]) => made('li', value, key)))
  }

  #offer(...actions: [label: string, act: () => Promise<void>][]): void {
    const buttons = actions.map(([label, act]) => {
      const button = made('button', label) as HTMLButtonElement
      button.type = 'button'
      button.setAttribute('aria-label', `${label}: ${this.#asked.request.prompt}`)
      button.addEventListener('click', () => void act())
      return button
    })
    const hadFocus = this.#find('.actions').contains(document.activeElement)
    this.#find('.actions').replaceChildren(...buttons)
    if (hadFocus) (buttons[0] ?? this.#find('.prompt')).focus()
  }

  #find(selector: string): HTMLElement {
    return this.element.querySelector(selector) as HTMLElement
  }
}

function made(tag: string, text: string, className = ''): HTMLElement {
  const element = document.createElement(tag)
  element.textContent = text
  element.className = className
  return element
}

function link(text: string, href: string): HTMLElement {
  const element = made('a', text) as HTMLAnchorElement
  element.href = href
  element.target = '_blank'
  element.rel = 'noreferrer'
  return element
}
