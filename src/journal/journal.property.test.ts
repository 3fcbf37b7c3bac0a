/** A journal against the simplest thing that could be one: an array of what was appended. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '../lib/manual-clock.ts'
import type { Journal } from './journal.ts'
import { append, FaultyDisk, openJournal, recordsOf, temporaryFolder } from './testing/kit.ts'

type Step =
  | { readonly type: 'append'; readonly sizes: readonly number[] }
  | { readonly type: 'advance'; readonly share: number }
  | { readonly type: 'restart' }
  /** One operation of the next append fails. */
  | {
      readonly type: 'fault'
      readonly operation: 'write' | 'sync' | 'create' | 'syncFolder' | 'truncate'
      code: string
    }

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('append' as const),
        sizes: fc.array(fc.nat(120), { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('advance' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('fault' as const),
        operation: fc.constantFrom(
          'write' as const,
          'sync' as const,
          'create' as const,
          'syncFolder' as const,
          'truncate' as const,
        ),
        code: fc.constantFrom('ENOSPC', 'EIO'),
      }),
    },
  ),
  { maxLength: 40 },
)

test('whatever is appended, refused, settled and restarted: what was acknowledged and not settled is read, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.constantFrom('always' as const, 'interval' as const, 'none' as const),
      async (all, fsync) => {
        await using folder = await temporaryFolder()
        const disk = new FaultyDisk()
        const clock = new ManualClock()
        const open = () => openJournal(folder.path, { disk, clock, fsync })
        let journal: Journal = await open()
        let model: (readonly [number, string])[] = []
        let count = 0
        for (const step of all as readonly Step[]) {
          if (step.type === 'append') {
            const texts = step.sizes.map((size) => `${count++}${'x'.repeat(size)}`)
            await append(journal, ...texts).then(
              (offsets) => texts.map((text, index) => model.push([offsets[index] ?? -1, text])),
              (error: Error) => assert.equal(error.name, 'JournalError'),
            )
            disk.fails = () => undefined
          } else if (step.type === 'advance') {
            const index = Math.floor(step.share * model.length)
            journal.advance(model[index]?.[0] ?? journal.end)
            model = model.slice(index)
          } else if (step.type === 'restart') {
            disk.fails = () => undefined
            await journal[Symbol.asyncDispose]()
            journal = await open()
            assert.deepEqual(journal.damage, [])
          } else {
            let left = 1
            disk.fails = (operation) => (operation === step.operation && left-- > 0 ? step.code : undefined)
          }
          assert.deepEqual(await recordsOf(journal), model)
        }
        disk.fails = () => undefined
        await journal[Symbol.asyncDispose]()
        await using last = await open()
        assert.deepEqual(await recordsOf(last), model)
      },
    ),
    { numRuns: 60 },
  )
})
