/** Plays a random history to a worker on a clock that a test advances, and holds it against what it promises. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Output } from '../../bridge/output.ts'
import { startOutput } from '../../bridge/testing/output-kit.ts'
import { compareResourceVersions, type ResourceVersion } from '../../kube/object.ts'
import { ManualClock } from '../../lib/manual-clock.ts'
import { RoutedView } from '../../route/routed-view.ts'
import type { DeadLetter } from '../dead-letters.ts'
import { noObserver } from '../observer.ts'
import { defaults, event } from '../scripted-sink.ts'
import type { OutboundEvent } from '../sink.ts'
import { SinkWorker } from '../worker.ts'
import { Ledger, type Offer } from './ledger.ts'
import { eventOf, observedAt, RandomCluster, result, snapshotOf, type Told } from './random-events.ts'
import { fateOf, type History, history, type Step } from './random-history.ts'
import { RandomTarget } from './random-target.ts'

/** What happened, so that nothing is proven about histories in which nothing does. */
export type Figures = Record<
  | 'histories'
  | 'offers'
  | 'attempts'
  | 'retries'
  | 'timeouts'
  | 'delivered'
  | 'aborted'
  | 'merged'
  | 'overflowed'
  | 'dropped'
  | 'dead-lettered'
  | 'smaller'
  | 'undelivered'
  | 'refused',
  number
>

/** Rejects with the shortest history that breaks a promise, and how to repeat it. Each seed is one history. */
export async function keepPromises(seed: number, histories: number): Promise<Figures> {
  const figures: Figures = {
    histories: 0,
    offers: 0,
    attempts: 0,
    retries: 0,
    timeouts: 0,
    delivered: 0,
    aborted: 0,
    merged: 0,
    overflowed: 0,
    dropped: 0,
    'dead-lettered': 0,
    smaller: 0,
    undelivered: 0,
    refused: 0,
  }
  const kept = fc.asyncProperty(history, async (one) => await new Play(one, figures).run())
  for (let n = 0; n < histories; n++) await fc.assert(kept, { seed: seed + n, numRuns: 1, unbiased: true })
  return figures
}

const STREAMS = ['pods', 'nodes'] as const
const HOUR_MS = 3_600_000

/** A position that was offered to an output, or that it kept back because it owes a snapshot. */
interface Place {
  readonly position: ResourceVersion
  state: 'open' | 'settled' | 'owed'
}

/** A stream as the bridge plays it to one sink. */
interface Source {
  readonly name: string
  readonly output: Output
  /** Since the server's history began. */
  places: Place[]
  /** The snapshot that was to make up for what is owed was aborted. */
  repeats: boolean
}

class Play {
  readonly #history: History
  readonly #figures: Figures
  readonly #clock = new ManualClock()
  readonly #ledger: Ledger
  readonly #target: RandomTarget
  readonly #worker: SinkWorker
  readonly #sources: readonly Source[]
  readonly #never = new AbortController().signal
  readonly #cluster = new RandomCluster()
  #lettersOnTheWay = 0
  #letters = 0
  #jitter = 0
  readonly #withdrawals: { readonly offer: Offer; readonly controller: AbortController }[] = []

  constructor(one: History, figures: Figures) {
    this.#history = one
    this.#figures = figures
    const { settings, fates } = one
    const clock = this.#clock
    this.#ledger = new Ledger(settings, clock)
    const { whenFull, order, concurrency, batchEvents, lingerMs, queueEvents, queueBytes, maxEventBytes } = settings
    const { sameKeyInBatch, giveUpAfterMs, jitter } = settings
    this.#target = new RandomTarget(fates, sameKeyInBatch, clock, this.#ledger)
    this.#worker = new SinkWorker(
      {
        ...defaults,
        order,
        concurrency,
        batch: { events: batchEvents, bytes: 300, lingerMs },
        queue: { events: queueEvents, bytes: queueBytes, whenFull },
        retry: { ...defaults.retry, giveUpAfterMs },
        maxEventBytes,
      },
      {
        sink: this.#target,
        limits: {
          maxEventBytes,
          maxBatchEvents: 100,
          maxBatchBytes: 1_000_000,
          sizeOf: ({ dataBytes }) => dataBytes,
          sameKeyInBatch,
          concurrency,
        },
        clock,
        deadLetters: { add: (letter) => this.#keep(letter) },
        random: () => jitter[this.#jitter++ % jitter.length] ?? 0,
        observer: {
          ...noObserver,
          retry: () => figures.retries++,
          degraded: () => figures.smaller++,
          attempt: ({ result }) => {
            if (result === 'timeout') figures.timeouts++
          },
        },
      },
    )
    this.#worker.failed.catch((error: unknown) => this.#ledger.check(() => assert.ifError(error)))
    this.#sources = STREAMS.map((name) => this.#source(name))
  }

  async run(): Promise<void> {
    const { steps } = this.#history
    await this.#pass(0)
    for (const step of steps) {
      if (step.type === 'close') return await this.#close(step.deadlineMs)
      if (step.type === 'pass') await this.#pass(step.ms)
      else if (step.type === 'answers') this.#target.overruled = step.with === 'script' ? undefined : fateOf(step.with)
      else this.#offer(step)
      this.#checkLimits()
    }
    this.#target.overruled = undefined
    await this.#pass(0)
    for (let hour = 0; hour < 200 && this.#isBusy(); hour++) await this.#pass(HOUR_MS)
    assert.deepEqual(
      this.#ledger.owed.map(({ n }) => n),
      [],
      'P1: everything is settled in the end',
    )
    const { queueEvents, queueBytes, blockedOffers, inFlight, backingOff, state } = this.#worker.stats()
    assert.deepEqual([queueEvents, queueBytes, blockedOffers, inFlight, backingOff], [0, 0, 0, 0, 0])
    assert.match(state, /open|paused|probing/)
    for (const { output, places } of this.#sources) {
      const last = places.at(-1)?.position
      if (last) output.complete(last)
      assert.equal(output.isOwed, false)
      assert.deepEqual([output.watermark.value, output.watermark.lag], [last, 0], 'P1: the watermark is at the end')
    }
    await this.#close(0)
  }

  /** What the bridge does meanwhile: it withdraws, and makes up for what was dropped. */
  async #pass(ms: number): Promise<void> {
    await this.#clock.advance(ms)
    for (const { offer, controller } of this.#withdrawals.splice(0)) {
      if (offer.state === 'offered') offer.state = 'left'
      controller.abort(new Error('withdrawn'))
    }
    for (const source of this.#sources) this.#repay(source)
    await this.#clock.advance(0)
    this.#checkAccounts()
  }

  #isBusy(): boolean {
    return this.#worker.stats().queueEvents > 0 || this.#sources.some(({ output }) => output.isOwed)
  }

  #offer(step: Exclude<Step, { type: 'pass' | 'close' | 'answers' }>): void {
    if (step.type === 'withdrawn') {
      this.#withdraw(`${STREAMS[0]}/${step.object}`)
      return
    }
    const source = this.#sources[step.stream]
    if (!source) return
    const told = this.#cluster.tell(source.name, step)
    if (told) this.#tell(source, told)
  }

  /** As the bridge makes up for what was dropped. */
  #repay(source: Source): void {
    const { output } = source
    if (!output.hasRoom || !(output.debt || (source.repeats && output.isOwed))) return
    source.repeats = false
    const position = this.#cluster.advance()
    const placed = { snapshot: snapshotOf(position, 'full'), resourceVersion: position, observedAt }
    const from = output.debt?.from ?? position
    this.#tell(source, { change: { type: 'Gap', from, to: position, cause: 'overflow', observedAt } })
    this.#tell(source, { change: { type: 'SnapshotBegin', ...placed } })
    this.#tell(source, { change: { type: 'SnapshotEnd', result, ...placed } })
  }

  #tell(source: Source, { change, key, facts }: Told): void {
    const { output } = source
    const isSnapshot = change.type.startsWith('Snapshot') || (change.type === 'Gap' && change.cause === 'overflow')
    const holdsPlace = !change.type.startsWith('Snapshot')
    if (change.type === 'Gap' && change.cause === 'restored') source.places = []
    const place: Place = { position: this.#cluster.position, state: 'owed' }
    if (holdsPlace) source.places.push(place)
    let offer: Offer | undefined
    const translation = () => {
      const made = eventOf(source.name, this.#ledger.offers.length, change, key, facts)
      offer = this.#ledger.offered(
        made.kind === 'end' ? { ...made, aborted: () => this.#abort(made) } : made,
        facts?.uid,
      )
      this.#places.set(offer, { source, place })
      place.state = 'open'
      this.#figures.offers++
      return offer.event
    }
    output.expect(change)
    const tell = isSnapshot ? output.send : output.offer
    void tell.call(output, { change, shape: output.routed.stream }, translation, this.#never).then(
      () => {
        if (offer) offer.state = 'accepted'
      },
      () => {
        if (offer) offer.state = 'left'
      },
    )
  }

  readonly #places = new Map<Offer, { readonly source: Source; readonly place: Place }>()

  #abort(end: OutboundEvent): OutboundEvent {
    this.#ledger.offerOf(end).isAborted = true
    const id = `${end.attributes.id}:aborted`
    return event(id, `${end.stream}:aborted`, { kind: 'aborted', stream: end.stream, dataBytes: end.dataBytes })
  }

  #withdraw(key: string): void {
    const n = this.#ledger.offers.length
    const offer = this.#ledger.offered(event(`${n}`, key, { stream: `replay:${n}` }), undefined)
    this.#figures.offers++
    const controller = new AbortController()
    const ack = (outcome: Parameters<Ledger['settled']>[1]) => this.#settled(offer, outcome)
    void this.#worker.offer(offer.event, ack, controller.signal).then(
      () => {
        offer.state = 'accepted'
      },
      () => {
        offer.state = 'left'
      },
    )
    this.#withdrawals.push({ offer, controller })
  }

  #source(name: string): Source {
    const output = new Output({
      routed: RoutedView.whole('audit'),
      worker: this.#worker,
      onSettled: (settled, outcome) => {
        const offer = this.#ledger.offerOf(settled)
        const place = this.#places.get(offer)?.place
        if (place) place.state = outcome.type === 'overflowed' ? 'owed' : 'settled'
        this.#settled(offer, outcome)
        this.#checkWatermark(source)
      },
      onRepaid: () => {
        for (const place of source.places) if (place.state === 'owed') place.state = 'settled'
      },
      onSnapshot: ({ mode }, { type }) => {
        if (mode === 'full' && type === 'aborted') source.repeats = true
      },
    })
    startOutput(output, name)
    const source: Source = { name, output, places: [], repeats: false }
    return source
  }

  #settled(offer: Offer, outcome: Parameters<Ledger['settled']>[1]): void {
    this.#ledger.settled(offer, outcome)
    this.#figures[outcome.type]++
  }

  #checkWatermark({ output, places }: Source): void {
    const { value } = output.watermark
    if (value === undefined) return
    const isOpen = ({ position, state }: Place) => state !== 'settled' && compareResourceVersions(position, value) <= 0
    this.#ledger.check(() => assert.equal(places.find(isOpen), undefined, `P1: the watermark is at ${value}`))
  }

  #keep(letter: DeadLetter): void | Promise<void> {
    const { letterMs } = this.#history.settings
    this.#letters++
    this.#ledger.lettered(letter)
    if (letterMs === 0) return this.#ledger.kept(letter)
    this.#lettersOnTheWay++
    return new Promise((resolve) => {
      this.#clock.after(letterMs, () => {
        this.#lettersOnTheWay--
        this.#ledger.kept(letter)
        resolve()
      })
    })
  }

  #checkLimits(): void {
    const { whenFull, queueEvents, queueBytes, concurrency, batchEvents } = this.#history.settings
    const stats = this.#worker.stats()
    if (whenFull === 'block') {
      assert.ok(stats.queueEvents <= queueEvents, `P7: ${stats.queueEvents} events`)
      assert.ok(stats.queueBytes <= queueBytes, `P7: ${stats.queueBytes} bytes`)
    } else {
      assert.ok(
        stats.queueEvents <= Math.max(queueEvents, concurrency * batchEvents + 1),
        `P7: ${stats.queueEvents} events`,
      )
      assert.ok(stats.queueBytes <= queueBytes + 120, `P7: ${stats.queueBytes} bytes`)
    }
  }

  /** Everything that is owed is in the queue, once; a merged event answers for two at the most. */
  #checkAccounts(): void {
    if (this.#ledger.broken) throw this.#ledger.broken
    const { queueEvents } = this.#worker.stats()
    const owed = this.#ledger.owed.length
    if (this.#history.settings.whenFull === 'block') assert.equal(queueEvents, owed, 'P1: what is owed is in the queue')
    else assert.ok(queueEvents <= owed && owed <= 2 * queueEvents, `P1: ${queueEvents} in the queue, ${owed} owed`)
    for (const source of this.#sources) this.#checkWatermark(source)
  }

  async #close(deadlineMs: number): Promise<void> {
    const deadline = new AbortController()
    this.#clock.after(deadlineMs, () => deadline.abort(new Error('deadline')))
    this.#ledger.isClosing = true
    let undelivered: number | undefined
    let left: number | undefined
    void this.#worker.close(deadline.signal).then((closed) => {
      this.#ledger.isClosed = true
      undelivered = closed.undelivered
      left = this.#worker.stats().queueEvents
    })
    await this.#clock.advance(HOUR_MS)
    assert.ok(undelivered !== undefined, 'close resolves when the last attempt has settled')
    this.#checkAccounts()
    assert.equal(undelivered, left)
    assert.equal(this.#clock.pending, this.#lettersOnTheWay, 'no timer is left')
    this.#ledger.final()
    assert.equal(this.#ledger.offers.filter(({ letter }) => letter !== 'none').length, this.#letters)
    this.#figures.histories++
    this.#figures.undelivered += undelivered
    this.#figures.refused += this.#ledger.offers.filter(({ state }) => state === 'left').length
    this.#figures.attempts += this.#ledger.attempts
  }
}
