/** What can be known of the template without an AWS account. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matched } from '../../test/testbed/event-ruler.ts'
import { startMoto } from '../../test/testbed/moto.ts'
import { deploy, readTemplate, referencesOf, text } from './stack.ts'

/** What `!GetAtt` may ask of the types that are used here. Source: CloudFormation User Guide, return values. */
const attributes: Readonly<Record<string, readonly string[]>> = {
  'AWS::Events::EventBus': ['Arn', 'Name', 'Policy'],
  'AWS::Events::Rule': ['Arn'],
  'AWS::IAM::Role': ['Arn', 'RoleId'],
  'AWS::Lambda::Function': ['Arn'],
  'AWS::SQS::Queue': ['Arn', 'QueueName', 'QueueUrl'],
}

test('every reference is to something that the template has', () => {
  const { Parameters, Resources, whole } = readTemplate(text)
  const references = referencesOf(whole)
  assert.ok(references.length > 10)
  const broken = references.filter(({ name, attribute }) => {
    if (name.startsWith('AWS::')) return false
    if (attribute === undefined) return !Parameters[name] && !Resources[name]
    return !attributes[Resources[name]?.Type ?? '']?.includes(attribute)
  })
  assert.deepEqual(broken, [])
})

test('a reference to nothing is found', () => {
  const broken = readTemplate(text.replace('!GetAtt Bus.Arn', '!GetAtt Buss.Arn'))
  const names = referencesOf(broken.whole).map(({ name }) => name)
  assert.ok(names.includes('Buss') && !broken.Resources.Buss)
})

test('who may do what is no more than it takes', () => {
  const { Resources } = readTemplate(text)
  const statements = Object.values(Resources).flatMap(({ Properties }) => {
    const policies = [Properties.PolicyDocument, ...(Properties.Policies ?? []).map((one) => one.PolicyDocument)]
    return policies.flatMap((policy) => policy?.Statement ?? [])
  })
  assert.equal(statements.length, 3)
  assert.deepEqual(
    statements.filter(({ Resource }) => !('Fn::GetAtt' in Resource)),
    [],
    'each names the one resource that it is about',
  )
  assert.deepEqual(
    new Set(statements.flatMap(({ Action }) => Action)),
    new Set(['events:PutEvents', 'events:DescribeEventBus', 'sqs:SendMessage']),
  )
})

test('the rule takes what may be about the state of a container, by the word of the engine that EventBridge has', async () => {
  const pattern = readTemplate(text).Resources.Rule?.Properties.EventPattern ?? assert.fail()
  const event = (name: string, type: string, resource: string, changed?: readonly string[]) => ({
    name,
    'detail-type': `io.deltawire.${type}.v1`,
    source: `kubernetes://test/api/v1/${resource}`,
    detail: {
      resource,
      data: { object: { status: { containerStatuses: [{ name: 'app' }] } }, ...(changed && { changed }) },
    },
  })
  const waiting = '/status/containerStatuses/0/state/waiting'
  const events = [
    event('a container', 'object.updated', 'pods', ['/metadata/labels/tier', waiting]),
    event('the first statuses', 'object.updated', 'pods', ['/status/containerStatuses']),
    event('an init container', 'object.updated', 'pods', ['/status/initContainerStatuses/0/ready']),
    event('very much', 'object.updated', 'pods', ['/metadata', '/status']),
    event('nobody knows what', 'object.updated', 'pods'),
    event('a pod that is new', 'object.added', 'pods'),
    event('no: a label', 'object.updated', 'pods', ['/metadata/labels/tier']),
    event('no: a condition', 'object.updated', 'pods', ['/status/conditions/0/status']),
    event('no: a delete', 'object.deleted', 'pods'),
    event('no: of a snapshot', 'snapshot.item', 'pods'),
    event('no: no pod', 'object.updated', 'deployments.apps', [waiting]),
  ]
  const names = (await matched(pattern, events)).map(({ name }) => name)
  assert.deepEqual(
    names,
    events.map(({ name }) => name).filter((name) => !name.startsWith('no: ')),
  )
})

test('it can be deployed, and its rule hands to the function what its pattern takes', async () => {
  await using moto = await startMoto()
  const { bus, rule, pattern, targets } = await deploy(moto)
  assert.equal(bus, 'k8s')
  const { Rule } = readTemplate(text).Resources
  assert.deepEqual(pattern, Rule?.Properties.EventPattern)
  assert.match(rule, /Rule/)
  const [{ Arn, DeadLetterConfig, ...target } = assert.fail(), ...others] = targets
  assert.deepEqual(others, [])
  assert.match(Arn ?? '', /:function:/)
  assert.match(DeadLetterConfig?.Arn ?? '', /^arn:aws:sqs:.*DeadLetters/)
  assert.deepEqual(target, {
    Id: 'function',
    RetryPolicy: { MaximumEventAgeInSeconds: 3600, MaximumRetryAttempts: 185 },
  })
})
