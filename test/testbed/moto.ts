import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { eventually } from '../support/eventually.ts'
import { type Component, use } from './component.ts'
import { freePorts, Workspace, whileRunning } from './workspace.ts'

const run = promisify(execFile)

/** What moto takes to serve EventBridge, SQS, CloudWatch Logs and S3, and nothing that only its other services need. */
const packages = [
  'moto==5.2.5',
  'blinker==1.9.0',
  'boto3==1.44.5',
  'botocore==1.44.5',
  'certifi==2026.10.18',
  'cffi==2.1.1',
  'charset-normalizer==3.5.2',
  'click==8.5.1',
  'cryptography==50.0.2',
  'flask==3.1.3',
  'flask-cors==6.0.5',
  'idna==3.20',
  'itsdangerous==2.2.0',
  'jinja2==3.1.6',
  'jmespath==1.1.0',
  'jsonpath-ng==1.16.0',
  'markupsafe==3.0.4',
  'py-partiql-parser==0.6.3',
  'pycparser==3.12',
  'python-dateutil==2.9.0.post0',
  'pyyaml==6.0.3',
  'requests==2.34.2',
  'responses==0.26.3',
  's3transfer==0.19.3',
  'six==1.17.0',
  'urllib3==2.8.0',
  'werkzeug==3.1.9',
  'xmltodict==1.0.4',
]

/** AWS's interfaces in one local process. A folder for PYTHONPATH. */
export const moto: Component = {
  name: 'moto',
  version: '5.2.5',
  file: '.',
  needs: { python3: 'Python 3.10 or newer with pip, from the packages python3 and python3-pip' },
  async install(folder) {
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--root-user-action=ignore']
    await run('python3', ['-m', 'pip', 'install', ...options, '--target', folder, ...packages])
  },
  async ask(folder) {
    const code = 'import importlib.metadata as m; print(m.version("moto"))'
    const { stdout } = await run('python3', ['-c', code], { env: { ...process.env, PYTHONPATH: folder } })
    return stdout.trim()
  },
}

/** An event as a rule passes it to its targets. */
export interface RuleEvent {
  readonly version: '0'
  readonly id: string
  readonly 'detail-type': string
  readonly source: string
  /** Only AWS says it. */
  readonly account?: string
  readonly time: string
  readonly region: string
  readonly resources: readonly string[]
  readonly detail: Readonly<Record<string, unknown>>
}

export interface Rule {
  readonly bus: string
  /** Also the name of its queue. */
  readonly name: string
  /** Which events it takes: an event pattern. */
  readonly pattern: object
}

export const REGION = 'eu-west-1'

/** Credentials for what is not AWS, where its SDK looks first, and nowhere else. */
export const awsEnvironment = {
  AWS_ACCESS_KEY_ID: 'AKIATEST',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_EC2_METADATA_DISABLED: 'true',
} as const

/** EventBridge and SQS. Every instance begins empty. `host`: the address that it listens on. */
export async function startMoto({ host = '127.0.0.1' } = {}): Promise<Moto> {
  const PYTHONPATH = await use(moto)
  const workspace = await Workspace.create('moto')
  try {
    const [port = 0] = await freePorts(1)
    const args = ['-m', 'moto.server', '-H', host, '-p', `${port}`]
    const program = workspace.start('moto', 'python3', args, { PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' })
    const server = new Moto(workspace, `http://${host}:${port}`)
    await whileRunning(program, 'moto answers', async () => await server.isUp())
    return server
  } catch (error) {
    await workspace[Symbol.asyncDispose]()
    throw error
  }
}

export class Moto implements AsyncDisposable {
  readonly url: string
  readonly #workspace: Workspace

  constructor(workspace: Workspace, url: string) {
    this.#workspace = workspace
    this.url = url
  }

  async isUp(): Promise<boolean> {
    return (await fetch(`${this.url}/moto-api/data.json`)).ok
  }

  async createBus(name: string): Promise<void> {
    await this.#call('AWSEvents.CreateEventBus', { Name: name })
  }

  async deleteBus(name: string): Promise<void> {
    await this.#call('AWSEvents.DeleteEventBus', { Name: name })
  }

  /** At most ten. Rejects if one of them is refused. */
  async putEvents(entries: readonly object[]): Promise<void> {
    const { FailedEntryCount } = await this.#call('AWSEvents.PutEvents', { Entries: entries })
    if (FailedEntryCount !== 0) throw new Error(`moto refused ${String(FailedEntryCount)} of ${entries.length} events`)
  }

  /** A rule, and a queue as its target. */
  async createRule({ bus, name, pattern }: Rule): Promise<RuleQueue> {
    const { QueueUrl } = await this.#call('AmazonSQS.CreateQueue', { QueueName: name })
    const ofQueue = { QueueUrl: String(QueueUrl) }
    const asked = await this.#call('AmazonSQS.GetQueueAttributes', { ...ofQueue, AttributeNames: ['QueueArn'] })
    const { QueueArn } = asked.Attributes as { readonly QueueArn: string }
    const rule = { Name: name, EventBusName: bus, EventPattern: JSON.stringify(pattern) }
    await this.#call('AWSEvents.PutRule', rule)
    const targets = { Rule: name, EventBusName: bus, Targets: [{ Id: 'queue', Arn: QueueArn }] }
    await this.#call('AWSEvents.PutTargets', targets)
    return new RuleQueue((operation, body) => this.#call(`AmazonSQS.${operation}`, { ...ofQueue, ...body }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }

  async #call(target: string, body: object): Promise<Readonly<Record<string, unknown>>> {
    const [prefix = ''] = target.split('.')
    const service = prefix === 'AWSEvents' ? 'events' : 'sqs'
    const response = await fetch(this.url, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': target,
        // it is not checked, but says for which service and region the call is
        authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
      },
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${target} was answered with ${response.status}: ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
}

type Call = (operation: string, body: object) => Promise<Readonly<Record<string, unknown>>>

/** The queue behind a rule, and what came out of it. */
export class RuleQueue {
  readonly #call: Call
  readonly #events: RuleEvent[] = []

  constructor(call: Call) {
    this.#call = call
  }

  /** Everything that the rule passed so far, repetitions included; in an order that says nothing. Do not call it twice at a time. */
  async events(): Promise<readonly RuleEvent[]> {
    for (let messages = await this.#receive(); messages.length > 0; messages = await this.#receive()) {
      for (const { Body } of messages) this.#events.push(JSON.parse(Body) as RuleEvent)
      const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: `${index}`, ReceiptHandle }))
      await this.#call('DeleteMessageBatch', { Entries })
    }
    return this.#events
  }

  /** The events, as soon as there are this many. */
  async until(count: number): Promise<readonly RuleEvent[]> {
    const what = `${count} events have passed the rule`
    await eventually(async () => (await this.events()).length >= count, { what })
    return this.#events
  }

  async #receive(): Promise<readonly Message[]> {
    const answer = await this.#call('ReceiveMessage', { MaxNumberOfMessages: 10 })
    return (answer.Messages ?? []) as readonly Message[]
  }
}

interface Message {
  readonly Body: string
  readonly ReceiptHandle: string
}
