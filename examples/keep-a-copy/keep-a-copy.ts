/**
 * Keeps a copy of what Deltawire watches and prints how it changes, from NDJSON on standard input:
 *
 *   npx node src/main.ts run --config examples/stdout/deltawire.yaml | npx node examples/keep-a-copy/keep-a-copy.ts
 *
 * When the input ends it says what it holds of each stream, and what the last snapshot said of that. Exit code 0:
 * nothing differs; 1: a copy differs. With `--write FILE` the copy goes into a file, for `deltawire verify-copy`.
 */
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { type CopiedObject, Copy, decodeStructured, type Effect } from 'deltawire/events'

const { values: options } = parseArgs({ options: { write: { type: 'string' } } })
const copy = new Copy()
/** What the last snapshot of each stream said, if it could be compared. */
const verdicts = new Map<string, string>()

for await (const line of createInterface({ input: process.stdin })) {
  if (line === '') continue
  const event = decodeStructured(line)
  const effect = copy.apply(event)
  for (const change of changesOf(effect)) console.log(change)
  const verdict = effect.completed?.digests ?? effect.checked
  if (verdict) verdicts.set(`${event.attributes.cluster} ${event.attributes.stream}`, verdict)
}

for (const { cluster, stream, items, incomplete } of copy.streams()) {
  const verdict = verdicts.get(`${cluster} ${stream}`) ?? 'unknown: no full snapshot was complete'
  const missing = incomplete ? `, ${incomplete.missing} objects of a later snapshot are missing` : ''
  console.log(`${stream}: ${items} objects, digests: ${verdict}${missing}`)
  if (verdict === 'differ' || incomplete) process.exitCode = 1
}
if (options.write !== undefined) {
  const lines = Readable.from(copy.objects()).map((object: CopiedObject) => `${lineOf(object)}\n`)
  await pipeline(lines, createWriteStream(options.write))
}

/** Where a program of yours writes into its database. */
function* changesOf(effect: Effect): Generator<string> {
  // an item puts what it confirms again
  if (effect.type === 'put' && effect.previous?.resourceVersion !== effect.object.resourceVersion)
    yield `put ${effect.object.stream} ${effect.object.subject} ${effect.object.resourceVersion ?? ''}`
  if (effect.type === 'removed') yield `remove ${effect.object.stream} ${effect.object.subject}`
  for (const { stream, subject } of effect.completed?.removed ?? [])
    yield `remove ${stream} ${subject} (not in the snapshot)`
}

function lineOf({ source, stream, subject, uid, resourceVersion }: CopiedObject): string {
  return JSON.stringify({ source, stream, key: subject, uid, resourceVersion })
}
