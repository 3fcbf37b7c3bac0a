/** What can be wrong with a file before anybody looks at what it says. */
import assert from 'node:assert/strict'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from './load.ts'
import { file, problemsOf, withFile } from './test-kit.ts'

async function refusal(path: string): Promise<string> {
  try {
    await loadConfig({ file: path, env: {} })
    return ''
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(path, 'PATH') : ''
  }
}

test('no file, a folder, a file that may not be read: each is said', async () => {
  await withFile('', async (existing) => {
    assert.equal(await refusal(`${existing}.yaml`), 'PATH:1:1: there is no such file')
    assert.equal(await refusal(join(existing, 'x.yaml')), 'PATH:1:1: there is no such file')
    const folder = `${existing}.d`
    await mkdir(folder)
    assert.equal(await refusal(folder), 'PATH:1:1: is a directory, not a file')
    await chmod(existing, 0o000)
    // root reads it all the same, and finds it empty
    const expected = process.getuid?.() === 0 ? /the file is empty/ : /may not be read: permission denied$/
    assert.match(await refusal(existing), expected)
  })
})

test('a file that is too large, and a device without end', async () => {
  const large = `${file.process('')}# ${'x'.repeat(1024 * 1024)}\n`
  assert.deepEqual(await problemsOf(large), [
    'c.yaml:1:1: is larger than 1 MiB; expected at most 1 MiB, as a ConfigMap',
  ])
  assert.equal(await refusal('/dev/zero'), 'PATH:1:1: is larger than 1 MiB; expected at most 1 MiB, as a ConfigMap')
})

test('what is not text', async () => {
  assert.deepEqual(await problemsOf(Uint8Array.of(0x61, 0x3a, 0xff)), ['c.yaml:1:1: is not text in UTF-8'])
  assert.deepEqual(await problemsOf(Uint8Array.of(0x1f, 0x8b, 0x08)), ['c.yaml:1:1: is not text in UTF-8'])
})

test('a byte order mark and carriage returns are no mistakes', async () => {
  assert.deepEqual(await problemsOf(`\ufeff${file.process('cluster: x').replaceAll('\n', '\r\n')}`), [])
})

test('aliases that stand for too many values', async () => {
  const levels = Array.from({ length: 9 }, (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level},`.repeat(9)}]`)
  assert.deepEqual(await problemsOf(['l0: &l0 [x]', ...levels].join('\n')), [
    'c.yaml:1:1: aliases (*name) stand for too many values',
  ])
})

test('an alias that holds itself', async () => {
  assert.deepEqual(await problemsOf('a: &a [*a]\n'), ['c.yaml:1:1: an alias (*name) holds itself'])
})

test('nesting that would break the parser', async () => {
  for (const text of ['['.repeat(20_000), `a: ${'{a: '.repeat(20_000)}`]) {
    const [line] = await problemsOf(text)
    assert.match(line ?? '', /^c\.yaml:1:\d+: (?:is nested too deeply|not YAML: .*)$/)
  }
})

test('a place behind an alias is the place of what it stands for', async () => {
  const text = file.sinks(
    '  - { name: a, type: echo, to: x, queue: &q { evnts: 1 } }\n  - { name: b, type: echo, to: x, queue: *q }',
  )
  assert.deepEqual(await problemsOf(text), [
    'c.yaml:4:47 sinks[0].queue.evnts: unknown key; did you mean events?',
    'c.yaml:4:47 sinks[1].queue.evnts: unknown key; did you mean events?',
  ])
})
