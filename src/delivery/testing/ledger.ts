/** What a worker was offered, what its target saw of it, and whether both are as promised. */
import assert from 'node:assert/strict'
import type { Clock } from '../../lib/clock.ts'
import type { DeadLetter } from '../dead-letters.ts'
import type { Outcome } from '../entry.ts'
import { GRACE_MS } from '../grace.ts'
import { type DeliveryError, deliveryErrors, type OutboundEvent } from '../sink.ts'
import type { Settings } from './random-history.ts'
import type { Watch } from './random-target.ts'

/** An offered event, as it looks from outside. */
export interface Offer {
  /** Its place in the order of all offers. */
  readonly n: number
  readonly event: OutboundEvent
  readonly uid: string | undefined
  /** How many markers and gaps its stream had offered before. */
  readonly era: number
  /** `left`: it was withdrawn or refused before it was accepted. */
  state: 'offered' | 'accepted' | 'left'
  outcome: Outcome | undefined
  /** Its letter is on the way to the store, or kept. */
  letter: 'none' | 'on the way' | 'kept'
  isAborted: boolean
  isInFlight: boolean
  /** Something newer was sent in its place. */
  isReplaced: boolean
  /** What was last sent of it, */
  sent: OutboundEvent | undefined
  /** and that it was too large. */
  wasTooLarge: boolean
  landings: number
}

/** Every check throws, naming the promise. `byLane`: those that were offered with one key, oldest first. */
export class Ledger implements Watch {
  readonly offers: Offer[] = []
  readonly landedOrder: Offer[] = []
  attempts = 0
  isClosing = false
  isClosed = false
  /** The first check that failed, also where nobody would notice. */
  broken: unknown
  readonly #byId = new Map<string, Offer>()
  readonly #byStream = new Map<string, Offer[]>()
  readonly #inFlight = new Set<readonly OutboundEvent[]>()
  /** The target asked to be left alone until then. */
  #pausedUntil = 0
  readonly #settings: Settings
  readonly #clock: Clock

  constructor(settings: Settings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
  }

  /** Notes what is about to be offered. */
  offered(event: OutboundEvent, uid: string | undefined): Offer {
    const ofStream = this.#ofStream(event.stream)
    const last = ofStream.at(-1)
    const offer: Offer = {
      n: this.offers.length,
      event,
      uid,
      era: last ? last.era + (isFence(last.event) || last.event.kind === 'aborted' ? 1 : 0) : 0,
      state: 'offered',
      outcome: undefined,
      letter: 'none',
      isAborted: false,
      isInFlight: false,
      isReplaced: false,
      sent: undefined,
      wasTooLarge: false,
      landings: 0,
    }
    this.offers.push(offer)
    this.#byId.set(event.attributes.id, offer)
    ofStream.push(offer)
    return offer
  }

  get owed(): readonly Offer[] {
    return this.offers.filter(({ state, outcome }) => state === 'accepted' && !outcome)
  }

  sent(batch: readonly OutboundEvent[]): void {
    this.check(() => {
      this.attempts++
      const { concurrency, batchEvents, sameKeyInBatch, order } = this.#settings
      assert.ok(!this.isClosed, 'nothing is sent after close')
      assert.ok(batch.length > 0 && batch.length <= batchEvents, `a batch of ${batch.length}`)
      assert.ok(this.#clock.monotonic() >= this.#pausedUntil, 'Retry-After is obeyed in full')
      const keys = new Set(batch.map(({ key }) => key))
      if (order === 'key') {
        assert.ok(sameKeyInBatch || keys.size === batch.length, 'one event of a key in a batch')
        for (const others of this.#inFlight) {
          assert.ok(!others.some(({ key }) => keys.has(key)), 'P2: one attempt of a lane at a time')
        }
      }
      this.#inFlight.add(batch)
      assert.ok(this.#inFlight.size <= concurrency, 'no more attempts than may be')
      for (const [index, event] of batch.entries()) this.#sentOne(event, batch.slice(0, index))
    })
  }

  landed(event: OutboundEvent, lateMs: number): void {
    this.check(() => {
      const offer = this.offerOf(event)
      assert.ok(!this.isClosed || lateMs > GRACE_MS, 'nothing lands after close, at a sink that heeds its signal')
      assert.ok(offer.isInFlight, 'P2: nothing lands after its attempt')
      offer.landings++
      this.landedOrder.push(offer)
    })
  }

  failed(batch: readonly OutboundEvent[], { code, retryAfterMs = 0 }: DeliveryError, index?: number): void {
    for (const [place, event] of batch.entries()) {
      if (index === undefined || index === place) this.offerOf(event).wasTooLarge = code === 'too-large'
    }
    if (index !== undefined || deliveryErrors[code].class !== 'sink') return
    const pauseMs = Math.max(retryAfterMs, code === 'gone' ? 3_600_000 : 0)
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.monotonic() + pauseMs)
  }

  over(batch: readonly OutboundEvent[]): void {
    this.#inFlight.delete(batch)
    for (const event of batch) this.offerOf(event).isInFlight = false
  }

  settled(offer: Offer, outcome: Outcome): void {
    this.check(() => {
      const { event, n } = offer
      assert.equal(offer.outcome, undefined, `P1: ${n} is settled once`)
      assert.notEqual(offer.state, 'left', `P1: ${n} was never accepted`)
      // at the end an attempt that does not settle is left behind; what is void is settled all the same
      const isOver = !offer.isInFlight || (this.isClosing && outcome.type === 'dropped')
      assert.ok(isOver, `P1: ${n} is settled when its attempt is over`)
      offer.outcome = outcome
      // but a letter that is kept later: then what it stands for is settled, too
      const isLate = this.#settings.letterMs > 0 && (outcome.type === 'dead-lettered' || outcome.type === 'merged')
      assert.ok(!this.isClosed || isLate, 'P1: nothing is settled after close')
      if (outcome.type !== 'dead-lettered') assert.equal(offer.letter, 'none', 'P1: a dead letter is nothing else')
      switch (outcome.type) {
        case 'delivered':
        case 'aborted':
          assert.ok(offer.landings > 0 && !offer.isReplaced, `P1: ${n} has landed, itself`)
          assert.equal(outcome.type === 'aborted', offer.isAborted)
          break
        case 'dead-lettered':
          assert.equal(offer.letter, 'kept', `P1: the store has ${n}`)
          assert.ok(!offer.isReplaced)
          break
        case 'dropped':
          assert.ok(this.#isVoid(offer), `P1: ${n} is void`)
          break
        case 'merged':
          assert.equal(this.#settings.whenFull, 'coalesce', 'block merges nothing')
          assert.equal(event.kind, 'change', 'P6: only changes are merged')
          assert.equal(offer.sent, undefined, 'P4: what was sent keeps its id')
          break
        case 'overflowed':
          assert.equal(this.#settings.whenFull, 'coalesce', 'block drops nothing')
          assert.notEqual(event.supersedes, 'stream', 'that history is void is never dropped')
          break
      }
    })
  }

  lettered({ event, attempts, code }: DeadLetter): void {
    this.check(() => {
      const offer = this.offerOf(event)
      assert.equal(offer.letter, 'none', `P1: one letter of ${offer.n}`)
      assert.equal(offer.outcome, undefined)
      assert.notEqual(code, 'throttled', 'P1: no event pays for a quota')
      if (attempts === 0 && offer.sent) assert.fail('a letter says how often it was sent')
      offer.letter = 'on the way'
    })
  }

  kept({ event }: DeadLetter): void {
    this.offerOf(event).letter = 'kept'
  }

  /** Once nothing more will happen. */
  final(): void {
    if (this.broken) throw this.broken
    for (const offer of this.offers) {
      if (offer.isReplaced) this.check(() => assert.ok(offer.outcome?.type !== 'delivered'))
      if (offer.outcome?.type === 'merged') this.#survivor(offer)
    }
    if (this.#settings.order === 'key') this.#firstLandings()
    if (this.broken) throw this.broken
  }

  offerOf({ attributes: { id } }: OutboundEvent): Offer {
    const offer = this.#byId.get(id.replace(':aborted', ''))
    if (!offer) throw new Error(`${id} was never offered`)
    return offer
  }

  #sentOne(event: OutboundEvent, before: readonly OutboundEvent[]): void {
    const offer = this.offerOf(event)
    const { n } = offer
    const isSettled = ({ outcome, state }: Offer) => outcome !== undefined || state === 'left'
    assert.ok(!isSettled(offer), `P1: ${n} is not sent after it was settled`)
    assert.ok(!offer.isInFlight, `P1: ${n} is in one place`)
    assert.equal(offer.letter, 'none', `P1: ${n} is in one place`)
    assert.ok(!offer.isReplaced, `P1: something newer was sent for ${n}`)
    assert.ok(event.dataBytes <= this.#settings.maxEventBytes, 'nothing that is too large')
    this.#sameAgain(offer, event)
    offer.sent = event
    offer.isInFlight = true
    offer.wasTooLarge = false
    const earlier = this.#ofStream(event.stream).filter((one) => one.n < n && !isSettled(one))
    for (const one of earlier) {
      if (
        one.uid === offer.uid &&
        one.era === offer.era &&
        event.attributes.collapsed &&
        !one.sent &&
        one.letter === 'none'
      ) {
        one.isReplaced = true
        continue
      }
      const waits = event.kind === 'end' || event.supersedes === 'stream'
      assert.ok(!waits, `P6: ${event.kind} ${n} overtakes ${one.n}`)
      if (isUnsendable(one)) continue
      assert.ok(!isFence(one.event) || one.isAborted, `P6: ${n} overtakes ${one.event.kind} ${one.n}`)
    }
    if (this.#settings.order === 'key') {
      const inFront = earlier.filter((one) => one.event.key === event.key)
      for (const one of inFront) {
        const isTogether = before.some((other) => this.offerOf(other) === one)
        assert.ok(one.isReplaced || isTogether || isUnsendable(one), `P2: ${n} overtakes ${one.n} of ${event.key}`)
      }
    }
  }

  /** P4: a retry is the same event, byte for byte, or a smaller form of one that was too large. */
  #sameAgain({ n, sent, wasTooLarge }: Offer, event: OutboundEvent): void {
    if (!sent) return
    assert.deepEqual(event.attributes, sent.attributes, `P4: ${n} again`)
    if (wasTooLarge && event.dataBytes < sent.dataBytes) return
    assert.equal(event.data, sent.data, `P4: ${n} again`)
  }

  #isVoid({ n, event }: Offer): boolean {
    return this.#ofStream(event.stream).some((later) => later.n > n && later.event.supersedes && later.state !== 'left')
  }

  /** P1: what was merged is told by something newer of the same object, on the same side of every marker. P5: it says so. */
  #survivor({ n, event, uid, era }: Offer): void {
    this.check(() => {
      const newer = this.#ofStream(event.stream).filter((later) => later.n > n && later.uid === uid)
      const survivor = newer.find((later) => later.outcome?.type !== 'merged' && !isUnsendable(later))
      assert.ok(survivor, `P1: nothing stands for ${n}`)
      assert.equal(survivor.era, era, `P6: ${n} was merged across a marker`)
      if (survivor.sent)
        assert.equal(survivor.sent.attributes.collapsed, true, `P5: ${survivor.n} says that it is merged`)
      const isEnd = (offer: OutboundEvent) => offer.attributes.type.includes('deleted')
      if (isEnd(event)) assert.ok(isEnd(survivor.event), `P3: ${survivor.n} tells of no deletion, as ${n} did`)
    })
  }

  /** P2: what of a key landed first, landed in the order of the offers. */
  #firstLandings(): void {
    this.check(() => {
      const last = new Map<string, number>()
      for (const { n, event } of new Set(this.landedOrder)) {
        const lane = `${event.stream} ${event.key}`
        assert.ok(n > (last.get(lane) ?? -1), `P2: ${n} of ${lane} landed after ${last.get(lane)}`)
        last.set(lane, n)
      }
    })
  }

  #ofStream(name: string): Offer[] {
    let list = this.#byStream.get(name)
    if (!list) {
      list = []
      this.#byStream.set(name, list)
    }
    return list
  }

  /** Where a throw would go to the worker, and not to the test. */
  check(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.broken ??= error
    }
  }
}

/** It was given up when it was offered. Only an `end` waits until the store has it: it says how many those are. */
function isUnsendable({ sent, letter }: Offer): boolean {
  return !sent && letter !== 'none'
}

/** What later ones of its stream wait for. */
export function isFence({ kind }: OutboundEvent): boolean {
  return kind === 'begin' || kind === 'gap' || kind === 'end'
}
