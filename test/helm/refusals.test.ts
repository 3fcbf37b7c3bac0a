/** What the chart refuses, with Helm 3 and with Helm 4, and that the message names the value and the way out. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { use } from '../testbed/component.ts'
import { helms, refusal, type Values } from './support/chart.ts'

interface Refused {
  readonly what: string
  readonly values: Values
  readonly says: RegExp
}

const webhook = { name: 'hook', type: 'webhook', url: 'https://example.com' }

const bySchema: readonly Refused[] = [
  {
    what: 'a misspelled key of the configuration',
    values: { config: { sources: [{ resources: ['pods'], labelSelctor: 'a=b' }] } },
    says: /'\/config\/sources\/0': additional properties 'labelSelctor' not allowed/,
  },
  {
    what: 'a misspelled key of the chart',
    values: { image: { pulPolicy: 'Always' } },
    says: /'\/image': additional properties 'pulPolicy' not allowed/,
  },
  ...['credential', 'imagee'].map((name) => ({
    what: `a misspelled value: ${name}`,
    values: { [name]: {} },
    says: new RegExp(`at '': additional properties '${name}' not allowed`),
  })),
  {
    what: 'a type of sink that there is not',
    values: { config: { sinks: [{ name: 'out', type: 'kafak' }] } },
    says: /'\/config\/sinks\/0\/type': value must be one of .*'kafka'.*'webhook'/,
  },
  {
    what: 'a sink without what its type requires',
    values: { config: { sinks: [{ name: 'hook', type: 'webhook' }] } },
    says: /'\/config\/sinks\/0': missing property 'url'/,
  },
  {
    what: 'a key of another type of sink',
    values: { config: { sinks: [{ name: 'out', type: 'stdout', url: 'https://example.com' }] } },
    says: /'\/config\/sinks\/0': additional properties 'url' not allowed/,
  },
  {
    what: 'a sink without a name',
    values: { config: { sinks: [{ type: 'stdout' }] } },
    says: /'\/config\/sinks\/0': missing property 'name'/,
  },
  {
    what: 'a credential in the configuration',
    values: { config: { sinks: [{ ...webhook, auth: { bearer: 'hunter2' } }] } },
    says: /'\/config\/sinks\/0\/auth\/bearer': got string, want object/,
  },
  {
    what: 'a duration without a unit',
    values: { config: { shutdown: { drain: 30 } } },
    says: /'\/config\/shutdown\/drain': value must be one of .*'10s'/,
  },
  {
    what: 'a duration with an unknown unit',
    values: { config: { sources: [{ resources: ['pods'], resync: { every: '1 day' } }] } },
    says: /'\/config\/sources\/0\/resync\/every': '1 day' does not match pattern .*ms\|s\|m\|h/,
  },
  {
    what: 'a size without a unit',
    values: { config: { sinks: [{ ...webhook, maxEventBytes: '1000' }] } },
    says: /'\/config\/sinks\/0\/maxEventBytes': '1000' does not match pattern .*KiB\|MiB/,
  },
  {
    what: 'an event type that there is not',
    values: 'config: { routes: [{ name: all, on: [created], to: [stdout] }] }',
    says: /'\/config\/routes\/0\/\w+\/0': value must be one of 'added', 'updated', 'deleted'/,
  },
  {
    what: 'every resource there is',
    values: { config: { sources: [{ resources: ['*'] }] } },
    says: /'\/config\/sources\/0\/resources\/0': '\*' does not match pattern/,
  },
  {
    what: 'no source at all',
    values: { config: { sources: [] } },
    says: /'\/config\/sources': minItems: got 0, want 1/,
  },
  {
    what: 'a number as text',
    values: { config: { limits: { depth: '512' } } },
    says: /'\/config\/limits\/depth': got string, want integer/,
  },
  {
    what: 'a digest that is none',
    values: { image: { digest: 'latest' } },
    says: /'\/image\/digest': 'latest' does not match pattern .*sha256/,
  },
  {
    what: 'a right to write',
    values: {
      existingConfigMap: 'mine',
      rbac: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['delete'] }] },
    },
    says: /'\/rbac\/rules\/0\/verbs\/0': value must be one of 'get', 'list', 'watch'/,
  },
  {
    what: 'a right to everything',
    values: { existingConfigMap: 'mine', rbac: { rules: [{ apiGroups: [''], resources: ['*'], verbs: ['list'] }] } },
    says: /'\/rbac\/rules\/0\/resources\/0': '\*' does not match pattern/,
  },
  {
    what: 'a port that there is not',
    values: { service: { port: 80_000 } },
    says: /'\/service\/port': maximum: got 80,?000, want 65,?535/,
  },
]

const byGuard: readonly Refused[] = [
  {
    what: 'a resource whose API group nobody knows',
    values: { config: { sources: [{ resources: ['pods', 'deployments'] }] } },
    says: /config\.sources\[0\]\.resources\[1\]: deployments may be of any API group.* for example deployments\.apps/,
  },
  {
    what: 'namespaces alone, where the cluster has no name',
    values: { config: { sources: [{ resources: ['pods'], namespaces: ['shop'] }] } },
    says: /without config\.cluster the name of the cluster is the uid of namespace kube-system.* Set config\.cluster/,
  },
  {
    what: 'Secrets without the word of the source',
    values: { config: { sources: [{ resources: ['secrets'] }] } },
    says: /config\.sources\[0\]\.resources\[0\]: Secrets are not watched unless the source says allowSecrets: true/,
  },
  {
    what: 'Secrets without the word of the values',
    values: { config: { sources: [{ resources: ['secrets.v1'], allowSecrets: true }] } },
    says: /Secrets are watched: that takes rbac\.allowSecrets=true/,
  },
  {
    what: 'Secrets of an existing ConfigMap without the word of the values',
    values: {
      existingConfigMap: 'mine',
      rbac: { rules: [{ apiGroups: ['', 'apps'], resources: ['pods', 'secrets'], verbs: ['list', 'watch'] }] },
    },
    says: /Secrets are watched: that takes rbac\.allowSecrets=true/,
  },
  {
    what: 'two configurations',
    values: { config: { cluster: 'prod' }, existingConfigMap: 'mine' },
    says: /config and existingConfigMap are both set/,
  },
  {
    what: 'no configuration',
    values: 'config: null',
    says: /There is no configuration: set config or existingConfigMap/,
  },
  {
    what: 'an existing ConfigMap whose rights are not said',
    values: { existingConfigMap: 'mine' },
    says: /rbac\.rules or rbac\.namespaceRules have to say.* deltawire rbac --config FILE --output values/,
  },
  {
    what: 'rules beside a configuration that they are made from',
    values: { rbac: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }] } },
    says: /rbac\.rules and rbac\.namespaceRules are for existingConfigMap/,
  },
  {
    what: 'a pod that is killed while it drains',
    values: { config: { shutdown: { drain: '1m' } }, terminationGracePeriodSeconds: 60 },
    says: /terminationGracePeriodSeconds is 60, and config\.shutdown\.drain may take 60 s.* Set it to 70 or more/,
  },
  {
    what: 'probes that nobody can ask',
    values: { config: { http: { listen: '127.0.0.1:8080' } } },
    says: /config\.http\.listen is 127\.0\.0\.1:8080: probes come from outside of the pod.* as in :8080/,
  },
  {
    what: 'an environment that moves the probes',
    values: { extraEnv: [{ name: 'DELTAWIRE_HTTP_LISTEN', value: ':9999' }] },
    says: /extraEnv: DELTAWIRE_HTTP_LISTEN would go before config.* Set it in config/,
  },
  {
    what: 'a file of a Secret that is not mounted',
    values: {
      config: {
        sinks: [{ ...webhook, auth: { bearer: { file: '/etc/deltawire/credentials/hooks/token' } } }],
      },
      credentials: { existingSecrets: ['hook'] },
    },
    says: /config has a file in \/etc\/deltawire\/credentials\/hooks.* add hooks to credentials\.existingSecrets/,
  },
  ...['replicas', 'replicaCount', 'autoscaling', 'leaderElection', 'sharding', 'persistence'].map((name) => ({
    what: `more than one replica: ${name}`,
    values: { [name]: 2 },
    says: new RegExp(`${name}: this version runs one replica`),
  })),
]

for (const [by, cases] of [
  ['the schema refuses', bySchema],
  ['a guard refuses', byGuard],
] as const) {
  for (const { what, values, says } of cases) {
    test(`${by} ${what}`, async () => {
      for (const component of helms) {
        const said = await refusal(component, values)
        assert.match(said.replaceAll('\n', ' ').replaceAll('`', ''), says)
        assert.equal(said.includes('hunter2'), false, 'a credential is repeated')
      }
    })
  }
}

test('a file of a Secret that is mounted is no error, whoever mounts it', async () => {
  const file = (name: string) => ({ file: `/etc/deltawire/credentials/${name}/token` })
  const sinks = ['hook', 'csi', 'all'].map((name) => ({ ...webhook, name, auth: { bearer: file(name) } }))
  const said = (sinks: readonly object[], ...paths: readonly string[]) =>
    refusal(helms[0] ?? assert.fail(), {
      config: { sinks },
      credentials: { existingSecrets: ['hook'] },
      extraVolumes: [{ name: 'csi', csi: { driver: 'secrets-store.csi.k8s.io', readOnly: true } }],
      extraVolumeMounts: paths.map((mountPath) => ({ name: 'csi', mountPath })),
    })
  await assert.rejects(said(sinks.slice(0, 1)), /accepts/)
  await assert.rejects(said(sinks.slice(0, 2), '/etc/deltawire/credentials/csi/'), /accepts/)
  await assert.rejects(said(sinks, '/etc/deltawire/credentials'), /accepts/)
  assert.match(await said(sinks, '/etc/deltawire/credentials/csi'), /add all to credentials/)
})

test('switches of a chart that this one is part of, and anchors, are no error', async () => {
  const values =
    'enabled: true\ntags: { audit: true }\nglobal: { other: 1 }\nx-labels: &labels { a: b }\ncommonLabels: *labels'
  for (const component of helms) await assert.rejects(refusal(component, values), /accepts/)
})

test('of values that the schema refuses docs/install.md makes a configuration that deltawire can check', async () => {
  const document = readFileSync('docs/install.md', 'utf8')
  const [command = ''] = /^helm template .*\n {2}sed .*$/m.exec(document) ?? []
  const folder = mkdtempSync(join(tmpdir(), 'deltawire-refused-'))
  try {
    const values = { config: { sources: [{ resources: ['pods'], labelSelctor: 'a=b' }], sinks: [webhook] } }
    writeFileSync(join(folder, 'values.yaml'), JSON.stringify(values))
    for (const component of helms) {
      const here = command.replaceAll('local/', `${folder}/`).replace('helm', await use(component))
      await promisify(execFile)('sh', ['-c', here])
      const config = { apiVersion: 'deltawire.io/v1', kind: 'Bridge', ...values.config }
      assert.deepEqual(parse(readFileSync(join(folder, 'deltawire.yaml'), 'utf8')), config)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
