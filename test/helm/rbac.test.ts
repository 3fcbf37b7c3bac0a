/** The chart, which derives rights in Helm's templates, and `deltawire rbac`, which does in TypeScript, agree. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { rbac } from '../../src/cli/rbac.ts'
import { helm3 } from '../testbed/helm.ts'
import { helms, type Manifest, render } from './support/chart.ts'

const folder = mkdtempSync(join(tmpdir(), 'deltawire-rbac-'))
after(() => rmSync(folder, { recursive: true }))

interface Source {
  readonly name?: string
  readonly resources: readonly string[]
  readonly namespaces?: readonly string[]
  readonly allowSecrets?: boolean
}

interface Config {
  readonly cluster?: string
  readonly sources: readonly Source[]
}

/** No sink takes all of it: the same resource may be in several sources. */
function configuration({ sources, ...rest }: Config): object {
  const names = sources.map((_, index) => `s${index}`)
  return {
    apiVersion: 'deltawire.io/v1',
    kind: 'Bridge',
    ...rest,
    sources: sources.map((source, index) => ({ name: names[index], ...source })),
    routes: names.map((name) => ({ name, from: [name], to: [name] })),
    sinks: names.map((name) => ({ name, type: 'stdout' })),
  }
}

async function printed(config: object, output: 'manifests' | 'values'): Promise<string> {
  const file = join(folder, 'deltawire.yaml')
  writeFileSync(file, stringify(config))
  const out: string[] = []
  const err: string[] = []
  const code = await rbac({
    file,
    name: 'deltawire',
    namespace: 'deltawire',
    output,
    env: {},
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
  })
  assert.equal(code, 0, err.join(''))
  return out.join('')
}

/** Roles and bindings without labels, which a file for kubectl does not have. */
function rightsIn(manifests: readonly Manifest[]): readonly object[] {
  return manifests
    .filter(({ apiVersion }) => apiVersion === 'rbac.authorization.k8s.io/v1')
    .map(({ metadata: { labels: _, ...metadata }, ...manifest }) => ({ ...manifest, metadata }))
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

const keyOf = ({ kind, metadata }: Pick<Manifest, 'kind' | 'metadata'>) =>
  `${kind} ${metadata.namespace} ${metadata.name}`

async function byCommand(config: object): Promise<readonly object[]> {
  const documents = parseAllDocuments(await printed(config, 'manifests'))
  return rightsIn(documents.map((document) => document.toJS() as Manifest))
}

const cases: Readonly<Record<string, Config>> = {
  'the whole cluster': { sources: [{ resources: ['pods', 'deployments.apps'] }] },
  'the whole cluster, which has a name': { cluster: 'prod', sources: [{ resources: ['nodes'] }] },
  'two namespaces': { cluster: 'prod', sources: [{ resources: ['pods', 'jobs.batch'], namespaces: ['shop', 'pay'] }] },
  'custom resources with a version': {
    cluster: 'prod',
    sources: [{ resources: ['widgets.v1.example.com', 'pods.v1', 'gadgets.v1beta2.v2.io', 'things.v1x.org'] }],
  },
  'the same resource from several sources': {
    cluster: 'prod',
    sources: [
      { resources: ['pods', 'deployments.apps'], namespaces: ['shop'] },
      { resources: ['pods.v1', 'deployments.v1.apps'], namespaces: ['shop', 'pay'] },
      { resources: ['configmaps'], namespaces: ['pay'] },
    ],
  },
  'everywhere and in namespaces': {
    sources: [
      { resources: ['pods', 'nodes'] },
      { resources: ['pods', 'deployments.apps'], namespaces: ['shop'] },
      { resources: ['pods'], namespaces: ['pay'] },
    ],
  },
  'Secrets of one namespace, beside pods everywhere': {
    cluster: 'prod',
    sources: [{ resources: ['pods'] }, { resources: ['secrets'], namespaces: ['shop'], allowSecrets: true }],
  },
}

for (const [what, config] of Object.entries(cases)) {
  test(`chart and command agree on ${what}`, async () => {
    const whole = configuration(config)
    const expected = await byCommand(whole)
    assert.ok(expected.length >= 2)
    for (const component of helms) {
      assert.deepEqual(rightsIn(await render(component, { config: whole, rbac: { allowSecrets: true } })), expected)
    }
  })

  test(`what the command prints as values gives an existing ConfigMap the same: ${what}`, async () => {
    const whole = configuration(config)
    const { rbac: values } = parse(await printed(whole, 'values')) as { readonly rbac: object }
    const manifests = await render(helm3, { existingConfigMap: 'mine', rbac: { ...values, allowSecrets: true } })
    assert.deepEqual(rightsIn(manifests), await byCommand(whole))
  })
}

const resource = fc.constantFrom(
  'pods',
  'pods.v1',
  'events',
  'events.events.k8s.io',
  'jobs.batch',
  'jobs.v1.batch',
  'x.y.z',
)
const source: fc.Arbitrary<Source> = fc.record(
  {
    resources: fc.uniqueArray(resource, { minLength: 1, selector: (text) => text.split('.')[0] }),
    namespaces: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
  },
  { requiredKeys: ['resources'] },
)

test('chart and command agree on whatever sources there are', async () => {
  const sources = fc.array(source, { minLength: 1, maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(sources, async (sources) => {
      const whole = configuration({ cluster: 'prod', sources })
      assert.deepEqual(rightsIn(await render(helm3, { config: whole })), await byCommand(whole))
    }),
    { numRuns: 15 },
  )
})
