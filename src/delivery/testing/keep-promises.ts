/** Plays a random history to a worker on a clock that a test advances, and holds it against what it promises. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Output } from '../../bridge/output.ts'
import { compareResourceVersions, type ResourceVersion, type Timestamp, type Uid } from '../../kube/object.ts'
import { ManualClock } from '../../lib/manual-clock.ts'
import type { Snapshot } from '../../reconcile/change.ts'
import { allOn, wholeObject } from '../../route/view.ts'
import type { Notable } from '../../translate/translate.ts'
import type { DeadLetter } from '../dead-letters.ts'
import { noObserver } from '../observer.ts'
import { defaults, event, version, type What } from '../scripted-sink.ts'
import type { OutboundEvent } from '../sink.ts'
import { SinkWorker } from '../worker.ts'
import { Ledger, type Offer } from './ledger.ts'
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
const observedAt = '2026-01-01T00:00:00Z' as Timestamp
const result = { items: 0, added: 0, updated: 0, deleted: 0, unchanged: 0, members: '', state: '' }

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
  /** By name, who has it. */
  readonly #objects = new Map<string, string>()
  #born = 0
  #position = 0
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
    if (step.type === 'mark') this.#tell(source, this.#markOf(step.kind))
    else this.#touch(source, step)
  }

  #touch(source: Source, step: Extract<Step, { type: 'write' | 'delete' | 'item' }>): void {
    const position = `${++this.#position}` as ResourceVersion
    const key = `${source.name}/${step.object}`
    const known = this.#objects.get(key)
    const seen = { resourceVersion: position, observed: 'watch', observedAt, collapsed: false } as const
    const isThere = known !== undefined && !known.startsWith('gone:')
    if (step.type === 'item') {
      const snapshot = snapshotOf(`${position}`, 'part')
      if (isThere)
        this.#tell(source, { type: 'SnapshotItem', object: objectOf(known, position), snapshot, ...seen }, key)
    } else if (step.type === 'delete') {
      if (!isThere) return
      this.#objects.set(key, `gone:${known}`)
      const identity = { name: key, uid: known as Uid }
      const change = {
        type: 'Deleted',
        finalStateKnown: false,
        gone: false,
        identity,
        object: undefined,
        ...seen,
      } as const
      this.#tell(source, change, key, { uid: known, what: 'deleted', bytes: 10, size: 'fixed' })
    } else {
      const isBack = !isThere && known !== undefined && step.again === 'same'
      const uid = isThere ? known : isBack ? known.slice('gone:'.length) : `uid-${++this.#born}`
      this.#objects.set(key, uid)
      const object = objectOf(uid, position)
      const facts = { uid, bytes: step.bytes, size: step.size }
      if (isThere)
        this.#tell(source, { type: 'Updated', object, previous: undefined, ...seen }, key, {
          ...facts,
          what: 'updated',
        })
      else this.#tell(source, { type: 'Added', object, ...seen }, key, { ...facts, what: 'added' })
    }
  }

  #markOf(kind: Extract<Step, { type: 'mark' }>['kind']): Notable {
    const position = `${++this.#position}` as ResourceVersion
    const placed = { snapshot: snapshotOf(`${position}`, 'part'), resourceVersion: position, observedAt }
    switch (kind) {
      case 'begin':
        return { type: 'SnapshotBegin', ...placed }
      case 'end':
        return { type: 'SnapshotEnd', result, ...placed }
      case 'aborted':
        return { type: 'SnapshotAborted', cause: 'a gap', ...placed }
      case 'expired':
      case 'restored':
        return { type: 'Gap', from: position, to: position, cause: kind, observedAt }
    }
  }

  /** As the bridge makes up for what was dropped. */
  #repay(source: Source): void {
    const { output } = source
    if (!output.hasRoom || !(output.debt || (source.repeats && output.isOwed))) return
    source.repeats = false
    const position = `${++this.#position}` as ResourceVersion
    const placed = { snapshot: snapshotOf(`${position}`, 'full'), resourceVersion: position, observedAt }
    const from = output.debt?.from ?? position
    this.#tell(source, { type: 'Gap', from, to: position, cause: 'overflow', observedAt })
    this.#tell(source, { type: 'SnapshotBegin', ...placed })
    this.#tell(source, { type: 'SnapshotEnd', result, ...placed })
  }

  #tell(source: Source, change: Notable, key?: string, facts?: Facts): void {
    const { output } = source
    const isSnapshot = change.type.startsWith('Snapshot') || (change.type === 'Gap' && change.cause === 'overflow')
    const holdsPlace = !change.type.startsWith('Snapshot')
    if (change.type === 'Gap' && change.cause === 'restored') source.places = []
    const place: Place = { position: `${this.#position}` as ResourceVersion, state: 'owed' }
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
    const tell = isSnapshot ? output.send : output.offer
    void tell.call(output, change, translation, this.#never).then(
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
      view: { sink: 'audit', payload: wholeObject, on: new Set(allOn) },
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

interface Facts {
  readonly uid: string
  readonly what: What
  readonly bytes: number
  readonly size: 'fixed' | 'degradable'
}

function eventOf(
  stream: string,
  n: number,
  change: Notable,
  key: string | undefined,
  facts: Facts | undefined,
): OutboundEvent {
  const id = `${n}`
  if (facts && key) {
    const { uid, what, bytes, size } = facts
    const smaller = () => event(id, key, { stream, dataBytes: Math.ceil(bytes / 2) })
    const plain = version(uid, n, what, { key, stream, dataBytes: bytes })
    if (size === 'fixed') return plain
    return version(uid, n, what, {
      key,
      stream,
      dataBytes: bytes,
      smaller: () => ({ ...smaller(), attributes: plain.attributes }),
    })
  }
  switch (change.type) {
    case 'SnapshotItem':
      return event(id, key ?? '', { kind: 'item', stream })
    case 'SnapshotBegin':
      return event(id, `${stream}:begin`, { kind: 'begin', stream })
    case 'SnapshotEnd': {
      const final = () => event(id, `${stream}:end`, { kind: 'end', stream, dataBytes: 12 })
      return { ...event(id, `${stream}:end`, { kind: 'end', stream }), final }
    }
    case 'SnapshotAborted':
      return event(id, `${stream}:aborted`, { kind: 'aborted', stream })
    default: {
      const supersedes = change.type === 'Gap' && change.cause === 'restored' && ({ supersedes: 'stream' } as const)
      return event(id, `${stream}:gap`, { kind: 'gap', stream, ...supersedes })
    }
  }
}

function objectOf(uid: string, resourceVersion: ResourceVersion) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: uid, uid: uid as Uid, resourceVersion } }
}

function snapshotOf(id: string, mode: Snapshot['mode']): Snapshot {
  return { id, reason: 'periodic', mode, ledger: 'warm' }
}
