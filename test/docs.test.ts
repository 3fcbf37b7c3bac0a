/** What the documents tell a reader to type, and the configurations they show, work. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import packageJson from '../package.json' with { type: 'json' }
import { loadConfig } from '../src/config/load.ts'

const documents = [...globSync('*.md'), ...globSync('docs/**/*.md'), ...globSync('examples/**/*.md')]
const folder = mkdtempSync(join(tmpdir(), 'deltawire-docs-'))
after(() => rmSync(folder, { recursive: true }))

interface Found {
  readonly document: string
  readonly text: string
}

const blocks = (language: string): readonly Found[] =>
  documents.flatMap((document) =>
    [...readFileSync(document, 'utf8').matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
      ([, text = '']) => ({ document, text }),
    ),
  )

test('every whole configuration in a document or example is valid', async () => {
  const shown = blocks('yaml').filter(({ text }) => text.includes('kind: Bridge'))
  // what a document tells to put beside its configuration
  copyFileSync('examples/custom-sink/line-sink.js', join(folder, 'line-sink.js'))
  // beside them are values of the chart and templates of others
  const examples = globSync('{examples,src}/**/*.yaml')
    .map((document) => ({ document, text: readFileSync(document, 'utf8') }))
    .filter(({ text }) => /^kind: Bridge$/m.test(text))
  assert.ok(shown.length > 0 && examples.length > 2)
  for (const [index, { document, text }] of [...shown, ...examples].entries()) {
    const file = join(folder, `${index}.yaml`)
    writeFileSync(file, text)
    await loadConfig({ file, env: {} }).catch((error: unknown) => {
      throw new Error(`a configuration in ${document} is not valid`, { cause: error })
    })
  }
})

test('every npm script that a document names exists', () => {
  const scripts = Object.keys(packageJson.scripts)
  const missing = documents.flatMap((document) =>
    [...readFileSync(document, 'utf8').matchAll(/npm run ([a-z:]+)/g)]
      .filter(([, name = '']) => !scripts.includes(name))
      .map(([command]) => `${document}: ${command}`),
  )
  assert.deepEqual(missing, [])
})

test('every file that a document links to or tells to run exists', () => {
  const missing = documents.flatMap((document) => {
    const text = readFileSync(document, 'utf8')
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)].map(([, path = '']) =>
      join(dirname(document), path),
    )
    const named = [
      ...text.matchAll(
        /(?:^|[\s`]|(?<!\])\()((?:src|test|examples|docs|sinks|scripts)\/[\w./-]+\.(?:ts|md|yaml|mjs))/g,
      ),
    ].map(([, path = '']) => path)
    return [...links, ...named].filter((path) => !existsSync(path)).map((path) => `${document}: ${path}`)
  })
  assert.deepEqual(missing, [])
})

test('every test that a document names as holding a statement exists, by file and part of its name', () => {
  const named = documents.flatMap((document) =>
    [...readFileSync(document, 'utf8').matchAll(/\]\(([^)\s]*(?:\.test|contract)\.ts)\)\s+`([^`]+)`/g)].map(
      ([, path = '', name = '']) => ({ document, file: join(dirname(document), path), name }),
    ),
  )
  assert.ok(named.length > 80)
  const isTitle = (line: string) => /\b(?:test|row)\(/.test(line)
  const missing = named.filter(({ file, name }) => {
    const titles = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(isTitle) : []
    return !titles.some((title) => title.includes(name))
  })
  assert.deepEqual(missing, [])
})

test('what docs/keep-a-copy.md tells to type finds the copy of a stream of the demo right', async () => {
  const checks = blocks('sh').filter(({ text }) => text.includes('verify-copy --file'))
  assert.deepEqual(
    checks.map(({ document }) => document),
    ['docs/keep-a-copy.md'],
  )
  const cwd = mkdtempSync(join(folder, 'copy-'))
  for (const name of ['src', 'examples']) symlinkSync(resolve(name), join(cwd, name))
  const script = checks[0]?.text.replaceAll('npx node', `'${process.execPath}'`).replace('--for 10s', '--for 3s') ?? ''
  const { stdout } = await promisify(execFile)('sh', ['-ec', script], { cwd })
  assert.match(stdout, /^equal: 1 item, the same members/m)
})

test('the check of docs/install.md shows type and subject of a real event', async () => {
  const [, shown = ''] = /^kubectl logs .* \| (grep -o .*)$/m.exec(readFileSync('docs/install.md', 'utf8')) ?? []
  const demo = `'${process.execPath}' src/main.ts demo --for 3s 2>/dev/null`
  const check = shown.replace('default/hello', '[^"]*')
  const { stdout } = await promisify(execFile)('sh', ['-c', `${demo} | ${check}`])
  const lines = stdout.trim().split('\n')
  assert.ok(lines.length > 5)
  for (const line of lines) assert.match(line, /^"type":"io\.deltawire\.\w+\.\w+\.v1","subject":"[^"]+"$/)
})
