import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultLimits } from './bounded-text.ts'
import { KubeError } from './errors.ts'
import { FrameDecoder } from './frames.ts'
import type { Frame } from './list-watch.ts'
import { type KubeObject, type Resource, unreadReason } from './object.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }

const pod = (name: string, resourceVersion: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion, ...more },
})
const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`

const decoder = (limits = defaultLimits) =>
  new FrameDecoder<KubeObject>({ resource: pods, metadataOnly: false }, limits)

/** What the chunks give, with the sizes left out. */
function decode(chunks: readonly Buffer[], limits = defaultLimits): readonly Frame<KubeObject>[] {
  const frames = decoder(limits)
  const all = chunks.flatMap((chunk) => {
    const { frames: some, failure } = frames.push(chunk)
    if (failure !== undefined) throw failure
    return some
  })
  const failure = frames.end()
  if (failure !== undefined) throw failure
  return all
}

const objectOf = (frame: Frame<KubeObject> | undefined): KubeObject => {
  assert.ok(frame !== undefined && 'object' in frame)
  return frame.object
}

const unusable = (message: RegExp) => (error: unknown) =>
  error instanceof KubeError && error.code === 'unusable' && message.test(error.message)

test('frames of all types come out as they went in', () => {
  const text =
    line('ADDED', pod('a', '5')) +
    line('DELETED', pod('a', '340282366920938463463374607431768211455')) +
    line('BOOKMARK', { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion: '9' } })
  assert.deepEqual(decode([Buffer.from(text)]), [
    { type: 'ADDED', object: pod('a', '5'), bytes: line('ADDED', pod('a', '5')).length - 1 },
    { type: 'DELETED', object: pod('a', '340282366920938463463374607431768211455'), bytes: 177 },
    { type: 'BOOKMARK', resourceVersion: '9', initialEventsEnd: false },
  ])
})

test('a line is cut at byte 0x0A only: U+2028, U+2029 and multi-byte characters survive a cut at every byte', () => {
  const text =
    line('ADDED', pod('a', '5', { labels: { text: 'one\u2028two\u2029three \u0085 é 漢 😀 \\n \\" }' } })) +
    line('MODIFIED', pod('b', '6', { labels: { ['__proto__']: 'x', 'a"b': '{[' } }))
  const bytes = Buffer.from(text)
  const whole = decode([bytes])
  assert.equal(objectOf(whole[0]).metadata.labels?.text, 'one\u2028two\u2029three \u0085 é 漢 😀 \\n \\" }')
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(decode([bytes.subarray(0, cut), bytes.subarray(cut)]), whole, `cut at ${cut}`)
  }
  assert.deepEqual(decode([...bytes].map((byte) => Buffer.from([byte]))), whole)
})

test('any frames in any chunks give the same frames', () => {
  const object = fc.record({
    name: fc.stringMatching(/^[a-z]{1,8}$/),
    version: fc.bigInt({ min: 1n, max: 2n ** 128n - 1n }),
    data: fc.jsonValue({ maxDepth: 4 }),
  })
  const property = fc.property(
    fc.array(object, { minLength: 1, maxLength: 8 }),
    fc.array(fc.nat(4000), { maxLength: 12 }),
    (objects, cuts) => {
      const sent = objects.map(({ name, version, data }) => ({ ...pod(name, String(version)), data }))
      const bytes = Buffer.from(sent.map((each) => line('ADDED', each)).join(''))
      const places = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length]
      const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
      assert.deepEqual(decode(chunks).map(objectOf), JSON.parse(JSON.stringify(sent)))
    },
  )
  fc.assert(property, { numRuns: 200 })
})

test('X5 a truncated last line is a reset, and what came before it is kept', () => {
  const frames = decoder()
  const bytes = Buffer.from(line('ADDED', pod('a', '5')) + line('ADDED', pod('b', '6')).slice(0, 40))
  assert.equal(frames.push(bytes).frames.length, 1)
  const failure = frames.end()
  assert.equal(failure?.code, 'reset')
  assert.equal(failure?.message, 'the watch of pods broke off 40 bytes into a line')
})

test('X16 a frame without a resourceVersion is unusable, and what came before it in the chunk is kept', () => {
  for (const resourceVersion of ['', '0', '01', '-1', 'abc', 7, null, undefined]) {
    const object = { ...pod('b', '6'), metadata: { ...pod('b', '6').metadata, resourceVersion } }
    const { frames, failure } = decoder().push(Buffer.from(line('ADDED', pod('a', '5')) + line('ADDED', object)))
    assert.equal(frames.length, 1)
    assert.ok(unusable(/no usable resourceVersion/)(failure), String(resourceVersion))
  }
})

test('C08 frames that say something else than an object of the resource are unusable, without quoting them', () => {
  const secret = 'c2VjcmV0LXZhbHVl'
  const table: readonly (readonly [string, RegExp])[] = [
    [`{"type":"ADDED","object":{"data":"${secret}"\n`, /is not JSON \(\d+ bytes\)/],
    [line('ADDED', { ...pod('a', '1'), kind: 'Secret', data: secret }), /is of kind Secret, not Pod/],
    [line('ADDED', { ...pod('a', '1'), kind: undefined }), /is of kind unknown, not Pod/],
    [line('CHANGED', pod('a', '1')), /unknown type: CHANGED/],
    [line('ADDED', { ...pod('a', '1'), metadata: { ...pod('a', '1').metadata, uid: '' } }), /has no uid/],
    [line('ADDED', { ...pod('', '1') }), /has no name/],
    [line('ADDED', null), /is not a JSON object/],
    [line('BOOKMARK', { kind: 'Pod', metadata: {} }), /a bookmark of pods has no usable resourceVersion/],
    ['[1]\n', /unknown type: none/],
    ['"x"\n', /unknown type: none/],
  ]
  for (const [text, message] of table) {
    const { failure } = decoder().push(Buffer.from(text))
    assert.ok(unusable(message)(failure), `${text} gave ${failure?.message}`)
    assert.ok(!failure?.message.includes(secret))
  }
})

test('C27 the initial objects end at a bookmark whose annotation is exactly "true"', () => {
  const bookmark = (value: unknown) => ({
    kind: 'Pod',
    metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': value } },
  })
  const ends = ['true', 'false', 'True', '', true].map((value) =>
    decode([Buffer.from(line('BOOKMARK', bookmark(value)))]),
  )
  assert.deepEqual(
    ends.map(([frame]) => frame?.type === 'BOOKMARK' && frame.initialEventsEnd),
    [true, false, false, false, false],
  )
})

test('C10 an ERROR frame carries the code of its Status, and nothing after it is read', () => {
  const gone = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410, message: 'too old resource version' }
  const [frame, ...more] = decode([Buffer.from(`${line('ERROR', gone)}not json\n`)])
  assert.ok(frame?.type === 'ERROR')
  assert.deepEqual([frame.error.code, frame.error.status, frame.error.reason], ['expired', 410, 'Expired'])
  assert.deepEqual(more, [])
})

test('blank lines and carriage returns are no frames', () => {
  assert.equal(decode([Buffer.from(`\n\r\n${line('ADDED', pod('a', '5')).trim()}\r\n\n`)]).length, 1)
})

test('an object longer than the limit is delivered as its identity, whatever the chunks, and the stream goes on', () => {
  const limits = { frameBytes: 2000, depth: 512 }
  const big = { ...pod('big', '7'), data: { blob: 'x"}]\\'.repeat(1000), metadata: { name: 'not this one' } } }
  const bytes = Buffer.from(line('ADDED', pod('a', '5')) + line('MODIFIED', big) + line('ADDED', pod('b', '8')))
  for (const size of [1, 7, 64, 1000, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    )
    const [before, frame, after] = decode(chunks, limits)
    assert.equal(objectOf(before).metadata.name, 'a')
    assert.equal(objectOf(after).metadata.name, 'b')
    assert.ok(frame?.type === 'MODIFIED')
    assert.equal(unreadReason(frame.object), 'size')
    assert.deepEqual(JSON.parse(JSON.stringify(frame.object)), pod('big', '7'))
    assert.equal(frame.bytes, line('MODIFIED', big).length - 1)
  }
})

test('F55 a nesting of 513 to 100,000 is delivered as its identity; 512 is delivered whole', () => {
  const nested = (levels: number, last: string): string =>
    line('ADDED', { ...pod('deep', '7'), data: 0 }).replace(
      '"data":0',
      `"data":${'['.repeat(levels - 1)}${last}${']'.repeat(levels - 1)}`,
    )
  const [whole] = decode([Buffer.from(nested(512, '1'))])
  assert.equal(unreadReason(objectOf(whole)), undefined)
  assert.ok('data' in objectOf(whole))
  for (const levels of [513, 2_000, 10_000, 30_000, 100_000]) {
    const [frame] = decode([Buffer.from(nested(levels, '"}]}]"'))])
    assert.equal(unreadReason(objectOf(frame)), 'depth', `${levels} levels`)
    assert.deepEqual(JSON.parse(JSON.stringify(objectOf(frame))), pod('deep', '7'))
  }
})

test('an oversized text from which no identity can be read is unusable', () => {
  const limits = { frameBytes: 200, depth: 512 }
  const nameless = { ...pod('', '7'), data: 'x'.repeat(500) }
  const { failure } = decoder(limits).push(Buffer.from(line('ADDED', nameless)))
  assert.ok(unusable(/has no name/)(failure))
  const error = decoder(limits).push(Buffer.from(line('ERROR', { message: 'x'.repeat(500) })))
  assert.ok(unusable(/unknown type: ERROR/)(error.failure))
})

test('metadata alone comes as an object of its resource', () => {
  const frames = new FrameDecoder<KubeObject>({ resource: pods, metadataOnly: true }, defaultLimits)
  const partial = { ...pod('a', '5'), kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }
  const [frame] = frames.push(Buffer.from(line('ADDED', partial))).frames
  assert.deepEqual(objectOf(frame), pod('a', '5'))
})
