/** What README.md tells to type, as far as it runs without an AWS account. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { parse, parseAllDocuments } from 'yaml'
import { use } from '../../test/testbed/component.ts'
import { helm3 } from '../../test/testbed/helm.ts'
import { readTemplate, text } from './stack.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const read = async (file: string) => await readFile(join(import.meta.dirname, file), 'utf8')

/** The words of the line of README.md that begins so. */
async function command(beginning: string): Promise<readonly string[]> {
  const line = (await read('README.md')).split('\n').find((one) => one.startsWith(beginning))
  return line?.split(' ') ?? assert.fail(`README.md has no line that begins with ${beginning}`)
}

test('the command that builds the function makes the file that the template names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-function-'))
  try {
    const [, program = '', ...args] = await command('npx esbuild')
    const [, file = ''] = args.at(-1)?.split('=') ?? []
    const { Code, Handler } = readTemplate(text).Resources.Function?.Properties ?? {}
    assert.equal(file, `examples/lambda-on-pod-change/${Code}/${Handler?.replace('.handler', '.mjs')}`)
    const built = join(folder, 'index.mjs')
    await run(join(root, 'node_modules/.bin', program), [...args.slice(0, -1), `--outfile=${built}`], { cwd: root })
    const { handler } = (await import(pathToFileURL(built).href)) as typeof import('./handler.ts')
    const attributes = { id: 'a1:7', source: 's', type: 'io.deltawire.object.updated.v1', time: '', uid: 'a1' }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', uid: 'a1' } }
    const detail = { ...attributes, cluster: 'test', data: { object: pod } }
    assert.deepEqual(await handler({ id: '1', 'detail-type': detail.type, source: 's', detail }), [])
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('the chart makes of values.yaml the configuration of deltawire.yaml', async () => {
  const [, source = '', copy] = await command('cp ')
  const [, , , name = '', chart = '', ...options] = await command('helm upgrade --install')
  assert.ok(copy && options.includes(copy), 'what is copied is what is installed')
  const given = options.map((option) => (option === copy ? source : option))
  const args = ['template', name, chart, ...given.filter((option) => option !== '--create-namespace')]
  const { stdout } = await run(await use(helm3), args, { cwd: root })
  const objects = parseAllDocuments(stdout).map((document) => document.toJS() as Rendered)
  const config = objects.find(({ kind }) => kind === 'ConfigMap')?.data?.['deltawire.yaml'] ?? ''
  assert.deepEqual(parse(config), parse(await read('deltawire.yaml')))
  const [account] = objects.filter(({ kind }) => kind === 'ServiceAccount')
  assert.equal(account?.metadata.name, 'deltawire')
  assert.ok(account?.metadata.annotations?.['eks.amazonaws.com/role-arn'])
})

test('the bus of the configuration is that of the template', async () => {
  const { sinks } = parse(await read('deltawire.yaml')) as { readonly sinks: readonly { readonly bus: string }[] }
  assert.deepEqual(
    sinks.map(({ bus }) => bus),
    [readTemplate(text).Parameters.BusName?.Default],
  )
})

interface Rendered {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly data?: Readonly<Record<string, string>>
}
