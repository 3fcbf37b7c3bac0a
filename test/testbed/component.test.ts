import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { type Component, fileOf, install, use } from './component.ts'

const cache = mkdtempSync(join(tmpdir(), 'deltawire-cache-'))
const folder = join(cache, 'deltawire')
const before = process.env.XDG_CACHE_HOME
process.env.XDG_CACHE_HOME = cache
after(() => {
  if (before === undefined) delete process.env.XDG_CACHE_HOME
  else process.env.XDG_CACHE_HOME = before
  rmSync(cache, { recursive: true })
})

let installed = 0
beforeEach(() => {
  installed = 0
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
})

const tool: Component = {
  name: 'tool',
  version: '1.2.3',
  file: 'tool',
  needs: { node: 'Node 24' },
  async install(target) {
    installed++
    await writeFile(join(target, 'tool'), 'whole')
  },
  ask: (file) => readFile(file, 'utf8'),
}

test('a component is installed once, however many ask for it', async () => {
  const files = await Promise.all(Array.from({ length: 5 }, () => use(tool)))
  assert.deepEqual(new Set(files), new Set([join(folder, 'tool-1.2.3', 'tool')]))
  assert.equal(await tool.ask(fileOf(tool)), 'whole')
  await install(tool)
  assert.equal(installed, 1)
  assert.deepEqual(readdirSync(folder), ['tool-1.2.3'])
})

test('an installer that was killed holds nobody off, and what it left is removed', async () => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  writeFileSync(join(folder, 'tool-1.2.3.lock'), String(pid))
  mkdirSync(join(folder, 'tool-1.2.3.making-abc'))
  await install(tool)
  assert.deepEqual(readdirSync(folder), ['tool-1.2.3'])
})

test('an installation that fails leaves nothing, and says what it takes', async () => {
  const broken: Component = {
    ...tool,
    async install(target) {
      await tool.install(target)
      throw new Error('no network')
    },
  }
  await assert.rejects(install(broken), (error: Error) => {
    assert.match(error.message, /^tool 1\.2\.3 could not be installed\. It takes Node 24/)
    assert.equal((error.cause as Error).message, 'no network')
    return true
  })
  assert.deepEqual(readdirSync(folder), [])
})

test('a machine that lacks a program is told which, and how to get it', async () => {
  const needs = { 'no-such-program': 'Such 1.26 or newer, from such.example' }
  await assert.rejects(use({ ...tool, needs }), {
    message:
      'tool 1.2.3 cannot be installed: this machine has no no-such-program. It takes Such 1.26 or newer, from such.example.',
  })
  assert.equal(existsSync(join(folder, 'tool-1.2.3')), false)
})
