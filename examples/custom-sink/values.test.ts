/** What docs/write-a-sink.md tells to install, rendered. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse, parseAllDocuments } from 'yaml'
import { use } from '../../test/testbed/component.ts'
import { helm3 } from '../../test/testbed/helm.ts'

interface Rendered {
  readonly kind: string
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } }
}

interface Container {
  readonly volumeMounts: readonly { readonly mountPath: string }[]
}

test('the chart mounts the module where the configuration finds it, and the token where it says', async () => {
  const args = ['template', 'deltawire', './helm', '-f', 'examples/custom-sink/values.yaml']
  const { stdout } = await promisify(execFile)(await use(helm3), args, { cwd: join(import.meta.dirname, '../..') })
  const objects = parseAllDocuments(stdout).map((document) => document.toJS() as Rendered)
  const config = parse(objects.find(({ kind }) => kind === 'ConfigMap')?.data?.['deltawire.yaml'] ?? '')
  const [{ type, token }] = config.sinks
  const [container] = objects.find(({ kind }) => kind === 'Deployment')?.spec?.template.spec.containers ?? []
  const mounts = container?.volumeMounts.map(({ mountPath }) => mountPath) ?? []
  for (const file of [posix.resolve('/etc/deltawire', type), token.file]) {
    assert.ok(mounts.includes(posix.dirname(file)), `${file} is not in ${mounts.join()}`)
  }
})
