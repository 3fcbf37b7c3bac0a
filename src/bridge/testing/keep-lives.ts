/** For tests: lets the lives of a stream happen, and judges what came of it. */
import assert from 'node:assert/strict'
import { eventTypes } from '../../events/index.ts'
import type { SnapshotMode } from '../../reconcile/change.ts'
import { stateOn } from './durable-store.ts'
import { judge } from './judge.ts'
import { Life, type SinkOfWorld, streamName, World } from './life.ts'
import type { Away, Lives, Step, Write } from './lives.ts'
import { shapeIn, type Tier } from './views.ts'

const STEP_MS = 10
const NAMES = 7

/** Rejects if a promise is broken. Returns how often what happened. */
export async function keepLives(lives: Lives): Promise<Readonly<Record<string, number>>> {
  const play = new Play(new World(lives))
  await play.begin()
  for (const step of lives.steps) await play.step(step)
  await play.end()
  return play.counts
}

class Play {
  readonly #world: World
  #life: Life
  /** What happens while nothing runs when the store kills the process. */
  #doom: Away = { writes: 2, restored: 0, forgets: 'nothing' }

  constructor(world: World) {
    this.#world = world
    for (const [name, tier] of (['a', 'b', 'c', 'a', 'b'] as const).entries()) world.server.put(`n${name}`, tier)
    this.#life = new Life(world)
  }

  get counts(): Readonly<Record<string, number>> {
    return this.#world.counts
  }

  async begin(): Promise<void> {
    await this.#pass(0)
  }

  async step(step: Step): Promise<void> {
    await this.#do(step)
    await this.#pass(STEP_MS)
  }

  /** All is well, and the world stands still. */
  async end(): Promise<void> {
    const { sinks, clock, lives } = this.#world
    this.#life.store.dieAfter(Number.POSITIVE_INFINITY)
    for (const { target } of sinks) target.heal()
    await this.#settle()
    await clock.advance(600_000)
    this.#judge()
    await this.#findNoDifference()
    if (lives.keeps !== 'nothing') await this.#goOn()
    await this.#life.kill(0)
  }

  /** I7: a delta snapshot of what has not changed is a begin and an end. */
  async #findNoDifference(): Promise<void> {
    const { sinks, clock, lives, counts } = this.#world
    const asked = sinks.flatMap(({ name, target, settings }, place) => {
      // what was given up is told by it
      const isWhole = settings.on === 'all' && this.#life.viewOf(name) && !counts[`dead letters of ${name}`]
      return isWhole ? [{ target, place, from: target.taken.length }] : []
    })
    for (const { place } of asked) this.#ask(place, 'delta')
    await clock.advance(10_000)
    for (const { target, from } of asked) {
      const told = target.taken.slice(from).map((one) => (one.type === 'event' ? one.event.attributes.type : one.type))
      if (lives.resync === 'off') assert.deepEqual(told, [eventTypes.snapshotBegin, eventTypes.snapshotEnd], 'I7')
    }
  }

  /** Who was told of everything is told of nothing when a process takes over where the last one ended. */
  async #goOn(): Promise<void> {
    const { server, lives } = this.#world
    await this.#restart() // definitions that had changed since the last one began
    await this.#settle()
    const told = this.#told()
    await this.#restart()
    await this.#settle()
    assert.deepEqual(this.#told(), told, 'a restart with nothing to tell: replay')
    // what one sink was not told of before is told then, to all
    if (lives.keeps !== 'ledger' || lives.sinks.some(({ on }) => on !== 'all')) return
    await this.#restart(() => {
      server.progress()
      server.compact()
    })
    await this.#settle()
    assert.deepEqual(this.#told(), told, 'a restart with nothing to tell: compare')
    this.#judge()
  }

  /** How many versions each sink was told of, however often and in whatever form. */
  #told(): readonly number[] {
    return this.#world.sinks.map(({ target }) => {
      const facts = target.taken.flatMap((one) => {
        if (one.type !== 'event') return []
        const { uid, type, resourceversion } = one.event.attributes
        return uid === undefined || type === eventTypes.deleted ? [] : [`${uid} ${resourceversion}`]
      })
      return new Set(facts).size
    })
  }

  async #restart(meanwhile = () => {}): Promise<void> {
    await this.#life.stop()
    meanwhile()
    this.#life = new Life(this.#world)
  }

  /** What is to come has come, though a snapshot that was aborted is sent again after up to hours. */
  async #settle(): Promise<void> {
    const { clock, server } = this.#world
    server.progress()
    for (let minute = 0; minute < 300; minute++) {
      await clock.advance(60_000)
      this.#assertNoProblem()
      if (this.#life.isQuiet && this.#isJudgedWell()) return
    }
    this.#judge()
    assert.ok(this.#life.isQuiet, 'what was owed is repaid, and everything is settled')
  }

  #isJudgedWell(): boolean {
    try {
      this.#judge()
      return true
    } catch {
      return false // not yet: it is judged again in the end
    }
  }

  #judge(): void {
    const { sinks, server, lives, counts } = this.#world
    for (const { name, target, settings } of sinks) {
      const view = this.#life.viewOf(name)
      // nothing makes up for what is given up before the next snapshot
      if (!view || counts[`dead letters of ${name}`]) continue
      const objects = [...server.objects.values()].flatMap(({ metadata: { uid, resourceVersion, labels } }) => {
        const shape = shapeIn(view, labels?.tier as Tier)
        return shape ? [{ uid, resourceVersion, shape }] : []
      })
      judge({ taken: target.taken, objects, keeps: lives.keeps, hasSnapshots: settings.on === 'all' })
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.#world.clock.advance(ms)
    this.#assertNoProblem()
    if (!this.#life.isDead) return
    this.#world.count('dooms')
    await this.#away({ ...this.#doom, type: 'kill', records: 0 })
    await this.#world.clock.advance(0)
  }

  #assertNoProblem(): void {
    const [problem] = this.#world.problems
    if (problem !== undefined) throw problem
  }

  async #do(step: Step): Promise<void> {
    const world = this.#world
    const { server } = world
    switch (step.type) {
      case 'write':
        this.#write(step)
        return
      case 'bookmark':
        server.progress()
        return
      case 'up':
      case 'down':
        this.#at(step.sink, ({ target }) => {
          target.isUp = step.type === 'up'
        })
        return
      case 'fail':
        this.#at(step.sink, ({ target }) => target.fail(`n${step.name}`, step.times))
        return
      case 'kill':
      case 'stop':
        world.count(step.type)
        await this.#away(step)
        return
      case 'doom':
        this.#doom = step
        this.#life.store.dieAfter(step.records)
        return
      case 'expire':
        server.expireWatches()
        return
      case 'compact':
        server.compact()
        return
      case 'relist':
        for (const write of step.writes) this.#write(write)
        server.progress()
        if (step.how === 'expire') server.expireWatches()
        else server.compact()
        return
      case 'reset':
        server.reset()
        return
      case 'move':
        this.#life.move()
        return
      case 'restore':
        await this.#restoreWhileRunning(step.versions)
        return
      case 'ask':
        this.#ask(step.sink, step.mode)
        return
      case 'redefine':
        world.definition++
        return
      case 'review':
        this.#at(step.sink, (sink) => {
          sink.view = step.view
        })
        return
      case 'require':
        this.#at(step.sink, (sink) => {
          sink.isRequired = !sink.isRequired
        })
        return
      case 'enrol':
        this.#enrol()
        return
      case 'pass':
        if (step.ms > 1_000) server.progress()
        await this.#pass(step.ms)
    }
  }

  #ask(place: number, mode: SnapshotMode): void {
    const scope = mode === 'part' && { scope: { labelSelector: 'tier=a' } }
    this.#life.stream.requestSnapshot(`s${place}`, { reason: 'requested', mode, ...scope })
  }

  #at(place: number, change: (sink: SinkOfWorld) => void): void {
    const sink = this.#world.sinks[place]
    if (sink) change(sink)
  }

  #write({ name, what, tier, count }: Write): void {
    const { server } = this.#world
    for (let n = 0; n < count; n++) {
      if (what === 'put') server.put(`n${(name + n) % NAMES}`, tier)
      else server.delete(`n${(name + n) % NAMES}`)
    }
  }

  /** Takes effect with the next life. */
  #enrol(): void {
    const sink = this.#world.sinks[2]
    if (sink) sink.isThere = !sink.isThere
  }

  async #away({ type, writes, restored, forgets, ...how }: Step & { readonly type: 'kill' | 'stop' }): Promise<void> {
    const { server, sinks } = this.#world
    if (type === 'stop') await this.#life.stop()
    else await this.#life.kill('records' in how ? how.records : 0)
    const isRestored = restored > 0 && this.#restoreBehindStore(restored)
    for (let n = 0; n < writes && !isRestored; n++) {
      if (n % 3 === 2) server.delete(`n${(n + writes) % NAMES}`)
      else server.put(`n${(n * 2 + writes) % NAMES}`, 'abc'.charAt(n % 3))
    }
    if (forgets === 'expire') server.expireWatches()
    if (forgets === 'compact') server.compact()
    for (const { target, isThere } of sinks) if (!isThere) target.taken.push({ type: 'removed' })
    this.#life = new Life(this.#world)
    // until it has noted that the server is another one, what overtakes the known positions cannot be told from it
    if (isRestored) await this.#until(() => this.#life.hasStarted)
  }

  /** Back to before what is noted as settled: all else cannot be told from a server that went on. */
  #restoreBehindStore(versions: number): boolean {
    const { server, disk } = this.#world
    const positions = [...stateOn(disk, streamName).watermarks.values()].map(Number)
    const newest = Math.max(0, ...positions)
    if (newest <= versions + 1) return false
    this.#world.count('restored while away')
    this.#restore(server.version - newest + versions)
    return true
  }

  #restore(versions: number): void {
    this.#world.server.restore(versions)
    for (const { target } of this.#world.sinks) target.taken.push({ type: 'restored' })
  }

  /** Seen before anything is written: see above. */
  async #restoreWhileRunning(versions: number): Promise<void> {
    const { server, clock, lives, sinks } = this.#world
    // without a memory, one that is restarted before all sinks were told does not know it any more
    if (lives.keeps === 'nothing') return
    this.#life.store.dieAfter(Number.POSITIVE_INFINITY)
    const blocking = sinks.filter(({ settings }) => settings.policy === 'block')
    for (const { target } of blocking) target.heal() // one that blocks keeps its stream from noting it
    if (blocking.length > 0) await clock.advance(60_000)
    this.#world.count('restored while running')
    this.#restore(versions)
    await this.#until(() => server.wasAsked)
    await clock.advance(blocking.length > 0 ? 60_000 : 10 + 4 * lives.writeMs) // until that is noted
  }

  async #until(isSo: () => boolean): Promise<void> {
    for (let turn = 0; turn < 100_000 && !isSo(); turn++) await this.#world.clock.advance(10)
    assert.ok(isSo())
  }
}
