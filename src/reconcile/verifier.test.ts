/** `resync.verify`: the server is asked whether the store is right, on a real informer on a scripted server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Act, added, list, modified, pod, Rig, watch } from '../informer/test-kit.ts'
import type { KubeObject, ObjectKey, ResourceVersion } from '../kube/object.ts'
import type { Audience } from './audience.ts'
import { Debt } from './debt.ts'
import { Reconciler } from './reconciler.ts'
import type { Verified } from './verifier.ts'

type Answer = readonly (readonly KubeObject[])[] | 'expired' | Error

interface Asked {
  /** Milliseconds for each page. */
  readonly pageMs?: number
  readonly answers: readonly Answer[]
}

/** Takes all at once. */
class Listener implements Audience {
  readonly takesSnapshots = true
  readonly hasRoom = () => true
  readonly untold = () => []
  #debt: Debt | undefined = new Debt({
    kind: 'new',
    cause: 'restart',
    from: undefined,
    isUrgent: true,
    held: () => [].values(),
  })
  readonly debt = () => this.#debt

  begun(): void {
    this.#debt = undefined
  }
}

/** A snapshot is due after 100 s, then every 200 s. */
async function verified(script: ConstructorParameters<typeof Rig>[0], { answers, pageMs = 0 }: Asked) {
  const rig = new Rig(script)
  const told: string[] = []
  const asked: ResourceVersion[] = []
  const results: Verified[] = []
  let skipped = 0
  const server = {
    relist: () => rig.informer.relist(),
    async *pages(at: ResourceVersion): AsyncGenerator<readonly KubeObject[], 'whole' | 'expired'> {
      const answer = answers[asked.push(at) - 1]
      if (answer === undefined) throw new Error('nothing more was to be asked')
      if (answer === 'expired') return 'expired'
      if (answer instanceof Error) throw answer
      for (const page of answer) {
        await new Promise<void>((resolve) => rig.clock.after(pageMs, resolve))
        yield page
      }
      return 'whole'
    },
  }
  const { informer, reader, clock } = rig
  const reconciler = new Reconciler<KubeObject, Listener>({
    stream: 'pods',
    reader,
    store: {
      objects: () => informer.indexer.objects(),
      get: (key) => informer.indexer.get(key as ObjectKey),
      scope: 'whole',
    },
    audiences: [new Listener()],
    resync: { everyMs: 200_000, snapshot: 'delta', verify: true },
    server,
    onVerified: (result) => results.push(result),
    onSkipped: () => skipped++,
    snapshotId: () => 'r',
    clock,
    random: () => 0.5,
  })
  const stop = new AbortController()
  const read = async () => {
    for await (const portion of reconciler.changes(stop.signal)) {
      for (const change of portion.changes) {
        if (change.type === 'SnapshotBegin') {
          if (portion.type === 'own') portion.audience.begun()
          told.push(`begin ${change.snapshot.mode}`)
        } else if (change.type === 'SnapshotEnd') {
          if (portion.type === 'own') {
            reconciler.settled(change.snapshot, { type: 'completed', ...change.result }, portion.audience)
          }
          told.push(`end ${change.result.items}`)
        } else if (change.type === 'Added' || change.type === 'Updated')
          told.push(`${change.type} ${change.object.metadata.name}`)
        else if (change.type === 'Deleted') told.push(`Deleted ${change.identity.name}`)
      }
    }
  }
  const reading = read()
  await clock.advance(0)
  told.splice(0)
  return {
    asked,
    results,
    skipped: () => skipped,
    async after(ms: number): Promise<readonly string[]> {
      await clock.advance(ms)
      return told.splice(0)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await reading
      await rig[Symbol.asyncDispose]()
    },
  }
}

const [a, b, c] = [pod('shop/a', 3), pod('shop/b', 4), pod('shop/c', 5)] as const
const quiet = (): Act => ({ afterMs: 10_000_000 })

test('a snapshot is due when the server has shown, at the position of the stream, that the store is right', async () => {
  await using stand = await verified([list(9, [a, b]), watch(quiet())], { answers: [[[a], [b]]] })
  assert.deepEqual(await stand.after(99_999), [])
  assert.deepEqual(stand.asked, [])
  assert.deepEqual(await stand.after(1), ['begin delta', 'end 2'])
  assert.deepEqual([stand.asked, stand.results], [['9'], [{ type: 'right' }]])
})

test('what has changed since the position is no drift, whether before its page came or after', async () => {
  const changes: Act = [modified(pod('shop/a', 20)), added(pod('shop/d', 21)), modified(pod('shop/b', 22))]
  await using stand = await verified([list(9, [a, b]), watch({ afterMs: 100_150 }, changes, quiet())], {
    answers: [[[a], [b], [c]].slice(0, 2)],
    pageMs: 100,
  })
  assert.deepEqual(await stand.after(100_500), ['Updated a', 'Added d', 'Updated b', 'begin delta', 'end 3'])
  assert.deepEqual(stand.results, [{ type: 'right' }])
})

test('what the store has missed is found once, listed and told, and the snapshot comes when it is right', async () => {
  const here = [pod('shop/a', 7), b, pod('shop/d', 8)]
  await using stand = await verified([list(9, [a, b, c]), watch(quiet()), list(9, here), watch(quiet())], {
    answers: [[here], [here]],
  })
  assert.deepEqual([...(await stand.after(100_000))].sort(), ['Added d', 'Deleted c', 'Updated a'])
  assert.deepEqual(stand.results, [
    {
      type: 'drift',
      found: [
        { key: 'shop/a', uid: 'shop/a', what: 'outdated' },
        { key: 'shop/d', uid: 'shop/d', what: 'missing' },
        { key: 'shop/c', uid: 'shop/c', what: 'gone' },
      ],
    },
  ])
  assert.deepEqual(await stand.after(10_000), ['begin delta', 'end 3'])
  assert.deepEqual(stand.results.slice(1), [{ type: 'right' }])
})

test('a drift that is not mended yet is not found again, and asked for later and later', async () => {
  const here = [a, pod('shop/b', 8)]
  await using stand = await verified([list(9, [a, b]), watch(quiet())], { answers: [[here], [here], [here], [here]] })
  await stand.after(100_000)
  await stand.after(60_000)
  assert.deepEqual(
    stand.results.map((result) => (result.type === 'drift' ? result.found.length : result.type)),
    [1, 0, 0, 0],
  )
})

test('F03 a position that the server has dropped is asked for again; what does not answer costs the snapshot', async () => {
  await using again = await verified([list(9, [a]), watch(quiet())], { answers: ['expired', 'expired', [[a]]] })
  assert.deepEqual(await again.after(100_000), ['begin delta', 'end 1'])
  await using never = await verified([list(9, [a]), watch(quiet())], {
    answers: ['expired', 'expired', 'expired', new Error('refused'), [[a]]],
  })
  assert.deepEqual(await never.after(100_000), [])
  assert.deepEqual([never.results.map(({ type }) => type), never.skipped()], [['unknown'], 1])
  assert.deepEqual(await never.after(200_000), [])
  assert.equal(never.skipped(), 2)
  assert.deepEqual(await never.after(200_000), ['begin delta', 'end 1'])
})

test('a stream that stops waits for no page', async () => {
  const stand = await verified([list(9, [a]), watch(quiet())], { answers: [[[a]]], pageMs: 0 })
  await stand.after(100_000)
  await stand[Symbol.asyncDispose]()
  assert.equal(stand.results.length, 1)
})
