/** What README.md tells to install, rendered. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse, parseAllDocuments } from 'yaml'
import { use } from '../../test/testbed/component.ts'
import { helm3 } from '../../test/testbed/helm.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const read = async (file: string) => await readFile(join(import.meta.dirname, file), 'utf8')

interface Config {
  readonly sinks: readonly { readonly tls?: object; readonly sasl?: { readonly password: { readonly file: string } } }[]
}

interface Rendered {
  readonly kind: string
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } }
}

interface Container {
  readonly volumeMounts: readonly { readonly mountPath: string }[]
}

test('preset and values make the configuration of deltawire.yaml, with TLS and a password from the mounted Secret', async () => {
  const readme = (await read('README.md')).split('\n')
  const words = (beginning: string) => readme.find((one) => one.startsWith(beginning))?.split(' ') ?? []
  const [, source = '', copy] = words('cp ')
  const [, , , name = '', chart = '', ...given] = words('helm upgrade --install')
  assert.ok(copy && given.includes(copy), 'what is copied is what is installed')
  const options = given.map((option) => (option === copy ? source : option))
  const { stdout } = await run(await use(helm3), ['template', name, chart, ...options], { cwd: root })
  const objects = parseAllDocuments(stdout).map((document) => document.toJS() as Rendered)
  const data = objects.find(({ kind }) => kind === 'ConfigMap')?.data?.['deltawire.yaml'] ?? ''
  const { sinks: installed, ...config } = parse(data) as Config
  const { sinks: plain, ...same } = parse(await read('deltawire.yaml')) as Config
  assert.deepEqual(config, same)

  const [{ tls, sasl, ...sink } = assert.fail()] = installed
  assert.deepEqual({ ...sink, brokers: [] }, { ...plain[0], brokers: [] })
  assert.ok(tls)
  const [container] = objects.find(({ kind }) => kind === 'Deployment')?.spec?.template.spec.containers ?? []
  const mounts = container?.volumeMounts.map(({ mountPath }) => mountPath) ?? []
  assert.ok(
    mounts.some((mount) => sasl?.password.file.startsWith(`${mount}/`)),
    `the password is in ${mounts.join()}`,
  )
})
