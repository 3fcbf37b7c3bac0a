/** For the tests: the template as data, and its deployment on moto. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  EventBridgeClient,
  ListRulesCommand,
  ListTargetsByRuleCommand,
  RemoveTargetsCommand,
  type Target,
} from '@aws-sdk/client-eventbridge'
import { parse, type ScalarTag } from 'yaml'
import { type Moto, REGION, type RuleQueue } from '../../test/testbed/moto.ts'

/** The template as it is deployed. */
export const text = readFileSync(join(import.meta.dirname, 'template.yaml'), 'utf8')

export interface Template {
  readonly Parameters: Readonly<Record<string, { readonly Default: string }>>
  readonly Resources: Readonly<Record<string, Resource>>
  readonly whole: unknown
}

interface Resource {
  readonly Type: string
  readonly Properties: {
    readonly EventPattern?: object
    readonly Code?: string
    readonly Handler?: string
    readonly PolicyDocument?: Policy
    readonly Policies?: readonly { readonly PolicyDocument: Policy }[]
  }
}

interface Policy {
  readonly Statement: readonly { readonly Action: string | readonly string[]; readonly Resource: object }[]
}

/** The functions of CloudFormation that the template uses, in their short form; others are an error. */
const customTags: readonly ScalarTag[] = [
  { tag: '!Ref', resolve: (name) => ({ Ref: name }) },
  { tag: '!GetAtt', resolve: (name) => ({ 'Fn::GetAtt': name.split('.') }) },
  { tag: '!Sub', resolve: (name) => ({ 'Fn::Sub': name }) },
]

export function readTemplate(source: string): Template {
  const whole = parse(source, { customTags: [...customTags], strict: true }) as Omit<Template, 'whole'>
  return { Parameters: whole.Parameters, Resources: whole.Resources, whole }
}

interface Reference {
  readonly name: string
  /** Of `!GetAtt`. */
  readonly attribute?: string
}

/** All references below a node: `!Ref A`, `!GetAtt A.B`, `!Sub ${A}`. */
export function referencesOf(node: unknown): readonly Reference[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => {
    if (key === 'Ref') return [{ name: String(value) }]
    if (key === 'Fn::Sub') return [...String(value).matchAll(/\$\{([^}]+)\}/g)].map(([, name = '']) => ({ name }))
    if (key !== 'Fn::GetAtt') return referencesOf(value)
    const [name = '', attribute = ''] = value as readonly string[]
    return [{ name, attribute }]
  })
}

export interface Stack {
  readonly bus: string
  readonly rule: string
  readonly pattern: object
  readonly targets: readonly Target[]
}

/** Makes a stack of the template, unchanged, and says what EventBridge has then. */
export async function deploy(moto: Moto): Promise<Stack> {
  const response = await fetch(moto.url, {
    method: 'POST',
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/cloudformation/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: new URLSearchParams({
      Action: 'CreateStack',
      Version: '2010-05-15',
      StackName: 'pod-changes',
      TemplateBody: text,
      'Capabilities.member.1': 'CAPABILITY_IAM',
    }),
  })
  if (!response.ok) throw new Error(`CreateStack was answered with ${response.status}: ${await response.text()}`)
  const bus = readTemplate(text).Parameters.BusName?.Default ?? ''
  using client = clientOf(moto)
  const { Rules: [rule] = [] } = await client.send(new ListRulesCommand({ EventBusName: bus }))
  if (!rule?.Name || !rule.EventPattern) throw new Error(`the bus ${bus} has no rule with a pattern`)
  const { Targets = [] } = await client.send(new ListTargetsByRuleCommand({ EventBusName: bus, Rule: rule.Name }))
  return { bus, rule: rule.Name, pattern: JSON.parse(rule.EventPattern) as object, targets: Targets }
}

/** The deployed rule gets a queue in the place of its function, because moto runs no functions. */
export async function queueForFunction(moto: Moto, { bus, rule, pattern, targets }: Stack): Promise<RuleQueue> {
  using client = clientOf(moto)
  const Ids = targets.flatMap(({ Id }) => Id ?? [])
  await client.send(new RemoveTargetsCommand({ EventBusName: bus, Rule: rule, Ids }))
  return await moto.createRule({ bus, name: rule, pattern })
}

function clientOf(moto: Moto): EventBridgeClient & Disposable {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = new EventBridgeClient({ region: REGION, endpoint: moto.url, credentials })
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() })
}
