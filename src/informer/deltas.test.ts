import assert from 'node:assert/strict'
import { type KubeObject, keyOf, unreadReason } from '../kube/object.ts'
import {
  added,
  bookmark,
  deleted,
  error,
  fault,
  inBothWays,
  inShort,
  list,
  modified,
  pod,
  rv,
  watch,
  watchFails,
} from './test-kit.ts'

const a3 = pod('shop/a', 3)
const b4 = pod('shop/b', 4)
const c5 = pod('shop/c', 5)

inBothWays(
  'X7 a name taken again while it is watched: deleted(old uid) before added(new uid), both at its version',
  async (rigOf) => {
    const old = pod('shop/web', 7, { uid: 'a1' })
    const young = pod('shop/web', 41, { uid: 'b2' })
    await using rig = rigOf([list(9, [old]), watch([added(young)])])
    const seen = { resourceVersion: '41', observed: 'watch', observedAt: '2026-01-01T00:00:00.000Z' } as const
    assert.deepEqual((await rig.full()).slice(2), [
      {
        type: 'Deleted',
        identity: { namespace: 'shop', name: 'web', uid: 'a1' },
        object: old,
        finalStateKnown: false,
        gone: true,
        ...seen,
        collapsed: true,
      },
      { type: 'Added', object: young, ...seen, collapsed: false },
    ])
    assert.equal(rig.observer.counts.inferredDeletes, 1)
  },
)

inBothWays(
  'X7 a name taken again while nobody watched: deleted(old uid) before added(new uid), both at the list',
  async (rigOf) => {
    const old = pod('shop/web', 7, { uid: 'a1' })
    const young = pod('shop/web', 41, { uid: 'b2' })
    await using rig = rigOf([list(9, [old]), watchFails('expired'), list(50, [young]), watch()], { scope: 'selected' })
    await rig.full()
    const deltas = await rig.full(5000)
    const seen = { resourceVersion: '50', observed: 'relist', observedAt: '2026-01-01T00:00:01.200Z' } as const
    assert.deepEqual(deltas, [
      { type: 'Gap', from: '9', to: '50', cause: 'expired', observedAt: seen.observedAt },
      {
        type: 'Deleted',
        identity: { namespace: 'shop', name: 'web', uid: 'a1' },
        object: old,
        finalStateKnown: false,
        gone: true,
        ...seen,
        collapsed: true,
      },
      { type: 'Added', object: young, ...seen, collapsed: true },
      { type: 'Progress', resourceVersion: '50' },
    ])
  },
)

inBothWays(
  'the first list is adds that are not collapsed, at the version of the list, and a Progress; no gap',
  async (rigOf) => {
    await using rig = rigOf([list(10, [a3]), watch()])
    assert.deepEqual(await rig.full(), [
      {
        type: 'Added',
        object: a3,
        resourceVersion: '10',
        observed: 'relist',
        observedAt: '2026-01-01T00:00:00.000Z',
        collapsed: false,
      },
      { type: 'Progress', resourceVersion: '10' },
    ])
  },
)

inBothWays(
  'C35 C42 a relist: gap, then tombstones with the last known object, then changes in its order, then Progress',
  async (rigOf) => {
    await using rig = rigOf([
      list(10, [a3, b4, c5]),
      watch([modified(pod('shop/b', 11))], [error('expired')]),
      list(30, [pod('shop/z', 20), c5, pod('shop/a', 21)]),
      watch(),
    ])
    await rig.full()
    const deltas = await rig.full(5000)
    assert.deepEqual(deltas.map(inShort), [
      'Gap 11->30 expired',
      'Deleted shop/b@11 inferred',
      'Added shop/z@20 ~',
      'Updated shop/a@3->shop/a@21 ~',
      'Progress 30',
    ])
    for (const delta of deltas) {
      const position = delta.type === 'Gap' ? delta.to : delta.resourceVersion
      assert.equal(position, '30')
    }
    assert.equal(rig.observer.counts.recoveredByRelist, 3)
    assert.equal(rig.observer.counts.inferredDeletes, 1)
  },
)

inBothWays(
  'C36 added and missing in the list: a tombstone; deleted: no second one; deleted and added again: its newest',
  async (rigOf) => {
    await using rig = rigOf([
      list(10, [a3, b4]),
      watch([
        added(pod('shop/new', 11)),
        deleted(pod('shop/a', 12)),
        deleted(pod('shop/b', 13)),
        added(pod('shop/b', 14, { uid: 'b-again' })),
        error('expired'),
      ]),
      list(30, []),
      watch(),
    ])
    assert.deepEqual((await rig.deltas(5000)).slice(3), [
      'Added shop/new@11',
      'Deleted shop/a@12',
      'Deleted shop/b@13',
      'Added shop/b@14',
      'Gap 14->30 expired',
      'Deleted shop/new@11 inferred',
      'Deleted shop/b@14 inferred',
      'Progress 30',
    ])
  },
)

inBothWays(
  'C37 a queued delete of an object that the list has is kept, and the object is added again',
  async (rigOf) => {
    await using rig = rigOf([
      list(10, [a3]),
      watch([deleted(pod('shop/a', 11)), error('expired')]),
      list(30, [pod('shop/a', 20, { uid: 'second' })]),
      watch(),
    ])
    // nothing is taken until all of it is queued
    await rig.clock.advance(5000)
    assert.deepEqual(await rig.deltas(), [
      'Added shop/a@3',
      'Progress 10',
      'Deleted shop/a@11',
      'Gap 11->30 expired',
      'Added shop/a@20 ~',
      'Progress 30',
    ])
  },
)

inBothWays('C40 C43 every change is a delta of its own, in order of arrival also across keys', async (rigOf) => {
  await using rig = rigOf([
    list(10, []),
    watch([
      added(pod('a', 11)),
      added(pod('b', 12)),
      modified(pod('a', 13)),
      modified(pod('b', 14)),
      modified(pod('a', 15)),
    ]),
  ])
  assert.deepEqual((await rig.deltas()).slice(1), [
    'Added a@11',
    'Added b@12',
    'Updated a@11->a@13',
    'Updated b@12->b@14',
    'Updated a@13->a@15',
  ])
})

inBothWays('C41 synced means that the first list has been taken, all of it; an empty list syncs', async (rigOf) => {
  await using empty = rigOf([list(10, []), watch()])
  await empty.clock.advance(0)
  assert.equal(empty.informer.hasSynced, false)
  assert.deepEqual(empty.informer.status, { type: 'starting' })
  empty.reader.take()
  assert.equal(empty.informer.hasSynced, true)
  assert.deepEqual(empty.informer.status, { type: 'synced' })

  await using long = rigOf([
    list(
      9000,
      Array.from({ length: 2500 }, (_, n) => pod(`p${n}`, n + 1)),
    ),
    watch(),
  ])
  await long.clock.advance(0)
  const takes: (readonly [number, boolean, number])[] = []
  for (let deltas = long.reader.take(); deltas.length > 0; deltas = long.reader.take()) {
    takes.push([deltas.length, long.informer.hasSynced, long.informer.indexer.size])
  }
  // the store is replaced at once, its deltas come in portions, and the last brings the Progress
  assert.deepEqual(takes, [
    [1000, false, 2500],
    [1000, false, 2500],
    [501, true, 2500],
  ])
  await long.informer.synced
})

inBothWays('C45 stopping releases who waits, once what is queued has been taken', async (rigOf) => {
  const rig = rigOf([list(10, [a3]), watch()])
  const reader = rig.informer.deltas(new AbortController().signal)
  await rig.full()
  reader.take()
  const waiting = assert.rejects(reader.ready(new AbortController().signal), { name: 'AbortError' })
  rig.stop.abort()
  await waiting
  assert.deepEqual(reader.take(), [])
})

inBothWays('C45 iterating ends when the informer is stopped, after the rest of the queue', async (rigOf) => {
  const rig = rigOf([list(3, [a3]), watch([added(b4)])])
  const reader = rig.informer.deltas(new AbortController().signal)
  rig.reader[Symbol.dispose]()
  await rig.clock.advance(0)
  rig.stop.abort()
  const batches = await Array.fromAsync(reader)
  assert.deepEqual(
    batches.map((batch) => batch.map(inShort)),
    [['Added shop/a@3', 'Progress 3'], ['Added shop/b@4']],
  )
})

inBothWays(
  'C46 C47 a batch has distinct keys and at most 1000 changes; a list or a bookmark stands alone',
  async (rigOf) => {
    const many = Array.from({ length: 1001 }, (_, n) => added(pod(`p${n}`, 100 + n)))
    await using rig = rigOf([
      list(3, [a3]),
      watch([added(b4), added(c5), modified(pod('shop/b', 11)), bookmark(12), bookmark(13), ...many]),
    ])
    await rig.clock.advance(0)
    const batches: (string | number)[] = []
    for (let batch = rig.reader.take(); batch.length > 0; batch = rig.reader.take()) {
      batches.push(batch.length > 3 ? batch.length : batch.map(inShort).join(', '))
    }
    assert.deepEqual(batches, [
      'Added shop/a@3, Progress 3',
      'Added shop/b@4, Added shop/c@5',
      'Updated shop/b@4->shop/b@11',
      'Progress 12',
      'Progress 13',
      1000,
      'Added p1000@1100',
    ])
  },
)

inBothWays('C46 an object whose name cannot be a key is reported, and the others go on', async (rigOf) => {
  const broken = { ...pod('x', 11), metadata: { ...pod('x', 11).metadata, name: 'a/b' } }
  await using rig = rigOf([list(10, [a3]), watch([added(broken), added(pod('ok', 12))])])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@3', 'Progress 10', 'Added ok@12'])
  assert.deepEqual(rig.failures, ['Object'])
})

inBothWays(
  'C44 C51 C22 the transform sees each object of the server once, before store and reader, and no tombstone',
  async (rigOf) => {
    const seen: string[] = []
    const transform = (object: KubeObject) => {
      seen.push(`${object.metadata.name}@${object.metadata.resourceVersion}`)
      return { ...object, spec: 'redacted' }
    }
    await using rig = rigOf(
      [
        list(10, [pod('a', 3, { spec: 'secret' }), pod('b', 4, { spec: 'secret' })]),
        watch([
          modified(pod('a', 11, { spec: 'secret' })),
          deleted(pod('a', 12, { spec: 'secret' })),
          error('expired'),
        ]),
        list(30, []),
        watch(),
      ],
      { transform },
    )
    const deltas = await rig.full(5000)
    assert.deepEqual(seen, ['a@3', 'b@4', 'a@11', 'a@12'])
    assert.deepEqual(deltas.map(inShort).slice(2), [
      'Progress 10',
      'Updated a@3->a@11',
      'Deleted a@12',
      'Gap 12->30 expired',
      'Deleted b@4 inferred',
      'Progress 30',
    ])
    assert.ok(!JSON.stringify(deltas).includes('secret'))
  },
)

inBothWays(
  'C52 an object whose transform throws goes on as its identity, is reported, and heals with its next version',
  async (rigOf) => {
    const transform = (object: KubeObject) => {
      if (object.spec === 'bad') throw new Error('cannot transform')
      return object
    }
    await using rig = rigOf(
      [
        list(10, [pod('shop/a', 3, { spec: 'bad', labels: { secret: 'x' } }), b4]),
        watch([modified(pod('shop/b', 11, { spec: 'bad' })), modified(pod('shop/a', 12, { spec: 'good' }))]),
      ],
      { transform },
    )
    const deltas = await rig.full()
    assert.deepEqual(deltas.map(inShort), [
      'Added shop/a@3',
      'Added shop/b@4',
      'Progress 10',
      'Updated shop/b@4->shop/b@11',
      'Updated shop/a@3->shop/a@12',
    ])
    const reduced = deltas[0]?.type === 'Added' ? deltas[0].object : undefined
    assert.equal(reduced && unreadReason(reduced), 'transform')
    assert.equal(
      JSON.stringify(reduced),
      '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop","uid":"shop/a","resourceVersion":"3"}}',
    )
    assert.deepEqual(
      rig.faults.map((fault) => fault.type === 'Object' && fault.key),
      ['shop/a', 'shop/b'],
    )
  },
)

inBothWays(
  'C52 a relist tries again what could not be transformed, and finds its delete if it is gone',
  async (rigOf) => {
    let broken = true
    const transform = (object: KubeObject) => {
      if (broken) throw new Error('cannot transform')
      return object
    }
    await using rig = rigOf(
      [
        list(10, [a3, b4]),
        watch([error('expired')]),
        list(20, [a3]),
        watch([error('expired')]),
        list(30, [a3]),
        watch(),
      ],
      { transform },
    )
    await rig.full()
    broken = false
    assert.deepEqual((await rig.deltas(1200)).slice(1), [
      'Deleted shop/b@4 inferred',
      'Updated shop/a@3->shop/a@3 ~',
      'Progress 20',
    ])
    broken = true
    // what is held whole stays whole
    assert.deepEqual((await rig.deltas(5000)).slice(1), ['Progress 30'])
  },
)

inBothWays(
  'F12 frames that the server repeats are dropped and counted: known versions, and objects that are deleted',
  async (rigOf) => {
    const first = [added(pod('a', 11)), modified(pod('a', 12)), added(pod('b', 13)), deleted(pod('b', 14))]
    await using rig = rigOf([list(10, []), watch(first, first.slice(0, 3), [modified(pod('a', 15))])])
    const deltas = await rig.deltas()
    assert.deepEqual(deltas.slice(1), [
      'Added a@11',
      'Updated a@11->a@12',
      'Added b@13',
      'Deleted b@14',
      'Updated a@12->a@15',
    ])
    assert.equal(rig.observer.counts.droppedStale, 3)
  },
)

inBothWays('F12 a frame that a list has outdated brings back nobody whom the list no longer has', async (rigOf) => {
  await using rig = rigOf([
    list(10, [a3, b4]),
    watch([error('expired')]),
    list(20, [a3]),
    watch([modified(pod('shop/b', 12)), added(pod('shop/c', 20))], [added(pod('shop/c', 21))]),
  ])
  await rig.full()
  assert.deepEqual((await rig.deltas(1200)).slice(1), ['Deleted shop/b@4 inferred', 'Progress 20', 'Added shop/c@21'])
  assert.equal(rig.observer.counts.droppedStale, 2)
  assert.deepEqual(rig.store, ['shop/a@3', 'shop/c@21'])
})

inBothWays('X17 a repeated DELETED is passed on with the same identity, and the store is unchanged', async (rigOf) => {
  const gone = deleted(pod('shop/a', 11))
  await using rig = rigOf([list(10, [a3, b4]), watch([gone], [bookmark(12)], [gone])])
  const deletes = (await rig.full()).filter(({ type }) => type === 'Deleted')
  assert.equal(deletes.length, 2)
  assert.deepEqual(deletes[0], deletes[1])
  assert.deepEqual(rig.store, ['shop/b@4'])
  assert.equal(rig.informer.indexer.resourceVersion, '12')
})

inBothWays('a DELETED frame of a uid that no longer has the name leaves the new owner alone', async (rigOf) => {
  const old = pod('shop/web', 20, { uid: 'old' })
  const young = pod('shop/web', 41, { uid: 'young' })
  await using rig = rigOf([list(50, [young]), watch([deleted(old)])])
  assert.deepEqual((await rig.deltas()).slice(2), ['Deleted shop/web@20'])
  assert.deepEqual(rig.store, ['shop/web@41'])
  assert.equal(rig.informer.indexer.resourceVersion, '50')
})

inBothWays('a DELETED frame of a uid whose birth was not seen is the end of both uids', async (rigOf) => {
  await using rig = rigOf([list(10, [a3]), watch([deleted(pod('shop/a', 41, { uid: 'young' }))])])
  assert.deepEqual((await rig.deltas()).slice(2), ['Deleted shop/a@3 inferred', 'Deleted shop/a@41'])
  assert.deepEqual(rig.store, [])
})

inBothWays(
  'with selectors a delete does not mean gone, whether it was watched or found; without, it does',
  async (rigOf) => {
    const script = [list(10, [a3, b4]), watch([deleted(pod('shop/a', 11)), error('expired')]), list(20, []), watch()]
    await using selected = rigOf(script, { scope: 'selected' })
    await using whole = rigOf(script)
    const deletes = (all: readonly string[]) => all.filter((delta) => delta.startsWith('Deleted'))
    assert.deepEqual(deletes(await selected.deltas(5000)), ['Deleted shop/a@11 left', 'Deleted shop/b@4 inferred left'])
    assert.deepEqual(deletes(await whole.deltas(5000)), ['Deleted shop/a@11', 'Deleted shop/b@4 inferred'])
  },
)

inBothWays('C49 what the watch has lost is found by the next list, marked as collapsed, and counted', async (rigOf) => {
  // 11: a is updated, 12: b deleted, 13: c created; no frame tells
  await using rig = rigOf([
    list(10, [a3, b4]),
    watch([bookmark(14)], [error('expired')]),
    list(20, [pod('shop/a', 11), pod('shop/c', 13)]),
    watch(),
  ])
  await rig.full()
  assert.deepEqual((await rig.deltas(5000)).slice(1, -1), [
    'Deleted shop/b@4 inferred',
    'Updated shop/a@3->shop/a@11 ~',
    'Added shop/c@13 ~',
  ])
  assert.equal(rig.observer.counts.recoveredByRelist, 3)
})

inBothWays(
  "C53 C66 the store's version is that of what was written last: add, update, delete, bookmark, list",
  async (rigOf) => {
    await using rig = rigOf([
      list(10, []),
      watch(
        [added(pod('a', 11))],
        [modified(pod('a', 12))],
        [deleted(pod('a', 13))],
        [bookmark(14)],
        [error('expired')],
      ),
      list(9000, []),
      watch(),
    ])
    await rig.clock.advance(5000)
    assert.equal(rig.informer.indexer.resourceVersion, undefined)
    const versions: (string | undefined)[] = []
    while (rig.reader.take().length > 0) {
      versions.push(rig.informer.indexer.resourceVersion)
      await rig.clock.advance(0)
    }
    assert.deepEqual(versions, ['10', '11', '12', '13', '14', '9000'])
    assert.equal(rig.informer.lastSyncResourceVersion, '9000')
  },
)

inBothWays(
  'the store stands at the position of the last delta taken, not at what the reflector has read',
  async (rigOf) => {
    await using rig = rigOf([list(10, [a3]), watch([modified(pod('shop/a', 11))], [modified(pod('shop/a', 12))])])
    await rig.clock.advance(0)
    assert.deepEqual([rig.store, rig.informer.lastSyncResourceVersion], [[], '12'])
    rig.reader.take()
    assert.deepEqual(rig.store, ['shop/a@3'])
    rig.reader.take()
    assert.deepEqual(rig.store, ['shop/a@11'])
    assert.equal(rig.reader.inStep, true)
  },
)

inBothWays(
  'P7 a full queue stops the reading of the watch, by entries or by bytes, until something is taken',
  async (rigOf) => {
    const chunks = Array.from({ length: 20 }, (_, n) => [added(pod(`p${n}`, 11 + n))])
    for (const limit of [{ queueEntries: 5 }, { queueBytes: 500 }]) {
      await using rig = rigOf([list(10, []), watch(...chunks)], limit)
      await rig.clock.advance(0)
      assert.ok(Number(rig.informer.lastSyncResourceVersion) <= 16, `${rig.informer.lastSyncResourceVersion}`)
      const names = (await rig.deltas()).slice(1)
      assert.equal(names.length, 20)
    }
  },
)

inBothWays(
  'P7 relists do not pile up while nothing is taken: beside one that waits, no other is read beyond its first page',
  async (rigOf) => {
    const pages = [list(21, [a3], 'more'), list(21, [b4])]
    await using rig = rigOf([
      list(10, [a3]),
      watch({ afterMs: 10 }, [error('expired')]),
      list(20, [a3]),
      watch([error('expired')]),
      ...pages,
      watch(),
    ])
    await rig.deltas()
    await rig.clock.advance(600_000)
    const asked = {
      paged: ['list', 'watch 10', 'list', 'watch 20', 'list'],
      streamed: ['stream', 'stream 10', 'stream 20'],
    }
    assert.deepEqual(rig.api.asked, rig.api.streaming ? asked.streamed : asked.paged)
    assert.deepEqual(await rig.deltas(), [
      'Gap 10->20 expired',
      'Progress 20',
      'Gap 20->21 expired',
      'Added shop/b@4 ~',
      'Progress 21',
    ])
  },
)

inBothWays('a relist at the position where the stream stands is no gap', async (rigOf) => {
  await using rig = rigOf([list(10, [a3]), watch({ afterMs: 10 }, [error('expired')]), list(10, [a3]), watch()])
  await rig.deltas()
  assert.deepEqual(await rig.deltas(600_000), ['Progress 10'])
})

inBothWays('readers move in lockstep: nothing new is applied until all have taken the last batch', async (rigOf) => {
  await using rig = rigOf([list(10, [a3]), watch([modified(pod('shop/a', 11))], [modified(pod('shop/a', 12))])])
  const other = rig.informer.deltas(rig.stop.signal)
  await rig.clock.advance(0)
  assert.equal(rig.reader.take().length, 2)
  assert.deepEqual([rig.reader.inStep, other.inStep], [true, false])
  assert.deepEqual(rig.reader.take(), [])
  assert.deepEqual(rig.store, ['shop/a@3'])
  assert.equal(other.take().length, 2)
  assert.equal(other.inStep, true)
  assert.deepEqual(other.take().map(inShort), ['Updated shop/a@3->shop/a@11'])
  assert.equal(rig.reader.inStep, false)
  // a reader that leaves holds nobody up
  rig.reader[Symbol.dispose]()
  assert.deepEqual(other.take().map(inShort), ['Updated shop/a@11->shop/a@12'])
})

inBothWays(
  'a reader out of step never takes nothing, also while another has not taken the portions of a long list',
  async (rigOf) => {
    await using rig = rigOf([
      list(
        9000,
        Array.from({ length: 2500 }, (_, n) => pod(`p${n}`, n + 1)),
      ),
      watch(),
    ])
    const other = rig.informer.deltas(rig.stop.signal)
    await rig.clock.advance(0)
    let taken = rig.reader.take().length
    assert.equal(rig.reader.inStep, false)
    while (!rig.reader.inStep) {
      const { length } = rig.reader.take()
      assert.ok(length > 0)
      taken += length
    }
    assert.equal(taken, 2501)
    let others = 0
    while (!other.inStep) others += other.take().length
    assert.equal(others, 2501)
  },
)

inBothWays(
  'a late reader gets the store, then what changes: no gap, no duplicate, whatever it comes upon',
  async (rigOf) => {
    const objects = Array.from({ length: 1500 }, (_, n) => pod(`p${n}`, n + 1))
    await using rig = rigOf([list(9000, objects), watch([added(pod('new', 9001))])])
    await rig.clock.advance(0)
    assert.equal(rig.reader.take().length, 1000)
    // in the middle of the first list
    const late = rig.informer.deltas(rig.stop.signal)
    const seen: string[] = []
    for (let turn = 0; turn < 10; turn++) {
      for (const delta of late.take()) seen.push(inShort(delta))
      rig.reader.take()
    }
    assert.equal(seen.length, 1500 + 2)
    assert.deepEqual(seen.slice(-2), ['Progress 9000', 'Added new@9001'])
    assert.equal(new Set(seen).size, seen.length)
  },
)

inBothWays('nothing new is applied while a late reader is still taking what the store holds', async (rigOf) => {
  const objects = Array.from({ length: 1500 }, (_, n) => pod(`p${n}`, n + 1))
  await using rig = rigOf([list(9000, objects), watch({ afterMs: 1000 }, [deleted(pod('p1400', 9001))])])
  await rig.full()
  const late = rig.informer.deltas(rig.stop.signal)
  await rig.clock.advance(1000)
  assert.equal(late.inStep, false)
  assert.equal(late.take().length, 1000)
  assert.deepEqual(rig.reader.take(), [])
  assert.equal(rig.informer.indexer.size, 1500)
  assert.equal(late.take().length, 501)
  assert.deepEqual(rig.reader.take().map(inShort), ['Deleted p1400@9001'])
  assert.deepEqual(late.take().map(inShort), ['Deleted p1400@9001'])
})

inBothWays('a reader that was closed is not in step: the store goes on without it', async (rigOf) => {
  await using rig = rigOf([list(3, [a3]), watch([added(b4)])])
  await rig.clock.advance(0)
  rig.reader.take()
  assert.deepEqual(rig.store, ['shop/a@3'])
  rig.reader[Symbol.dispose]()
  assert.deepEqual(rig.store, ['shop/a@3', 'shop/b@4'])
  assert.equal(rig.reader.inStep, false)
})

inBothWays('a reader that waits goes on as soon as the slowest has taken its batch', async (rigOf) => {
  await using rig = rigOf([list(3, [a3]), watch([added(b4)])])
  const slow = rig.informer.deltas(rig.stop.signal)
  await rig.clock.advance(0)
  rig.reader.take()
  let isReady = false
  const ready = rig.reader.ready(rig.stop.signal).then(() => {
    isReady = true
  })
  await rig.clock.advance(0)
  assert.equal(isReady, false)
  slow.take()
  await ready
  assert.deepEqual(rig.reader.take().map(inShort), ['Added shop/b@4'])
})

inBothWays(
  'without readers deltas are applied all the same; a reader that leaves with a full queue frees it',
  async (rigOf) => {
    const chunks = Array.from({ length: 20 }, (_, n) => [added(pod(`p${n}`, 11 + n))])
    await using rig = rigOf([list(10, []), watch(...chunks)], { queueEntries: 2 })
    await rig.clock.advance(0)
    assert.equal(rig.informer.indexer.size, 0)
    rig.reader[Symbol.dispose]()
    await rig.clock.advance(0)
    assert.equal(rig.informer.indexer.size, 20)
    assert.equal(rig.informer.hasSynced, true)
  },
)

inBothWays(
  'ready resolves when something can be taken, rejects when aborted, and leaves nothing behind',
  async (rigOf) => {
    await using rig = rigOf([list(3, [a3]), watch({ afterMs: 1000 }, [added(b4)])])
    await rig.reader.ready(rig.stop.signal)
    await rig.full()
    const impatient = new AbortController()
    const refused = assert.rejects(rig.reader.ready(impatient.signal), { message: 'enough' })
    impatient.abort(new Error('enough'))
    await refused
    const ready = rig.reader.ready(rig.stop.signal)
    await rig.clock.advance(1000)
    await ready
    assert.deepEqual(rig.reader.take().map(inShort), ['Added shop/b@4'])
  },
)

inBothWays('C55 an error hook that throws does not end the stream', async (rigOf) => {
  const onError = () => {
    throw new Error('the hook itself')
  }
  await using rig = rigOf([list(3, [a3]), watch(fault('reset')), list(3, []), watch([added(b4)])], { onError })
  assert.deepEqual(await rig.deltas(5000), ['Added shop/a@3', 'Progress 3', 'Added shop/b@4'])
})

inBothWays('a relist that begins again, because a page failed, leaves nothing of its first attempt', async (rigOf) => {
  await using rig = rigOf([list(10, [a3, b4], 'c'), { call: 'list', page: fault('rejected') }, list(12, [b4]), watch()])
  assert.deepEqual(await rig.deltas(5000), ['Added shop/b@4', 'Progress 12'])
})

inBothWays('a list of 1e39 versions: versions are compared as digits, never as numbers', async (rigOf) => {
  const small = { ...a3, metadata: { ...a3.metadata, resourceVersion: rv(9) } }
  const bigVersion = '170141183460469231731687303715884105727'
  const big = {
    ...a3,
    metadata: { ...a3.metadata, resourceVersion: bigVersion as typeof small.metadata.resourceVersion },
  }
  await using rig = rigOf([list(10, [small]), watch([modified(big)], [modified(pod('shop/a', 99))])])
  assert.deepEqual((await rig.deltas()).slice(2), [`Updated shop/a@9->shop/a@${bigVersion}`])
  assert.equal(rig.observer.counts.droppedStale, 1)
  assert.equal(rig.informer.indexer.get(keyOf(big.metadata)), big)
})

inBothWays('X14 150,000 objects: list, index and relist, with every delta', async (rigOf) => {
  const count = 150_000
  const objects = Array.from({ length: count }, (_, n) => pod(`ns${n % 200}/p${n}`, n + 1))
  const changed = objects.map((object, n) => (n % 10 === 0 ? pod(`ns${n % 200}/p${n}`, 200_001 + n) : object))
  await using rig = rigOf([list(200_000, objects), watch([error('expired')]), list(400_000, changed.slice(1)), watch()])
  let added = 0
  for (const { type } of await rig.full()) if (type === 'Added') added++
  assert.equal(added, count)
  assert.equal(rig.informer.lister.namespace('ns7').list().length, 750)
  const counts: Record<string, number> = {}
  for (const { type } of await rig.full(5000)) counts[type] = (counts[type] ?? 0) + 1
  assert.deepEqual(counts, { Gap: 1, Deleted: 1, Updated: 14_999, Progress: 1 })
})
