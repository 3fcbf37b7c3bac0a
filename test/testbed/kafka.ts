/** A real Apache Kafka: one node that is broker and controller (KRaft), on loopback ports of its own. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ConfigOwner, KafkaConnection } from '../../sinks/kafka/testing/client.ts'
import { one, two } from '../../sinks/webhook/test-certificates.ts'
import { eventually } from '../support/eventually.ts'
import { type Component, use } from './component.ts'
import { type ConsumedRecord, consumeAll } from './kafka-console.ts'
import { freePorts, type Program, Workspace, whileRunning } from './workspace.ts'

const run = promisify(execFile)
const VERSION = '4.1.0'

/** Its jars, and those of its tools. A folder for the class path. */
export const kafka: Component = {
  name: 'kafka',
  version: VERSION,
  file: 'lib',
  needs: {
    java: 'Java 17 or newer, from the package openjdk-17-jre-headless',
    mvn: 'Maven 3.8 or newer, from the package maven',
  },
  async install(folder) {
    const dependencies = [
      ['org.apache.kafka', 'kafka_2.13', VERSION],
      ['org.apache.kafka', 'kafka-tools', VERSION],
      ['org.slf4j', 'slf4j-simple', '1.7.36'],
    ].map(
      ([group, artifact, version]) =>
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
    )
    const pom = [
      '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>',
      '<groupId>testbed</groupId><artifactId>kafka</artifactId><version>1</version>',
      `<dependencies>${dependencies.join('')}</dependencies></project>`,
    ]
    await writeFile(join(folder, 'pom.xml'), pom.join('\n'))
    const downloaded = join(folder, 'repository')
    const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
    const options = ['--batch-mode', '--quiet', `-Dmaven.repo.local=${downloaded}`, '-DoutputDirectory=lib']
    await run('mvn', [...options, copy], { cwd: folder })
    await rm(downloaded, { recursive: true })
  },
  async ask(lib) {
    const { stdout } = await run('java', ['-cp', `${lib}/*`, 'kafka.Kafka', '--version'])
    return stdout.trim().split(' ')[0] ?? ''
  },
}

/** Who may log in, and the password. `admin` may do everything, `limited` nothing. Without a login: everything. */
export const kafkaUsers = { admin: 'admin-password', limited: 'limited-password' } as const

/** What the TLS listeners present, and what `mtls` accepts from a client. */
export const kafkaCertificates = { server: one, client: two } as const

/** The ways to reach it. `sasl`: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
const protocols = {
  plaintext: 'PLAINTEXT',
  sasl: 'SASL_PLAINTEXT',
  tls: 'SSL',
  mtls: 'SSL',
  'sasl-tls': 'SASL_SSL',
} as const
export type KafkaListener = keyof typeof protocols
const listeners = Object.keys(protocols) as readonly KafkaListener[]

const START_ATTEMPTS = 3

/** Resolves when it serves, after about 3 s. `host`: the address that it listens on. */
export async function startKafka({ host = '127.0.0.1' } = {}): Promise<TestKafka> {
  const lib = await use(kafka)
  for (let attempt = 1; ; attempt++) {
    const workspace = await Workspace.create('kafka')
    try {
      return await TestKafka.start(workspace, lib, host)
    } catch (error) {
      await workspace[Symbol.asyncDispose]()
      const taken = error instanceof Error && error.message.includes('Address already in use')
      if (!taken || attempt === START_ATTEMPTS) throw error
    }
  }
}

export class TestKafka implements AsyncDisposable {
  readonly #workspace: Workspace
  readonly #lib: string
  readonly #host: string
  readonly #ports: ReadonlyMap<KafkaListener, number>
  #broker: Program | undefined
  #starts = 0

  private constructor(workspace: Workspace, lib: string, { host, ports }: Addresses) {
    this.#workspace = workspace
    this.#lib = lib
    this.#host = host
    this.#ports = ports
  }

  static async start(workspace: Workspace, lib: string, host: string): Promise<TestKafka> {
    const [controller = 0, ...free] = await freePorts(listeners.length + 1)
    const ports = new Map(listeners.map((listener, index) => [listener, free[index] ?? 0] as const))
    await writeFile(join(workspace.folder, 'server.properties'), properties({ controller, host, ports }))
    const broker = new TestKafka(workspace, lib, { host, ports })
    const scram = Object.entries(kafkaUsers).flatMap(([name, password]) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${name},password=${password}]`,
      ]),
    )
    // one argument: an id may begin with a dash
    const id = `--cluster-id=${randomBytes(16).toString('base64url')}`
    const format = ['format', id, '--config', 'server.properties']
    const storage = [...java(lib), 'kafka.tools.StorageTool', ...format, ...scram]
    await run('java', storage, { cwd: workspace.folder })
    await broker.start()
    return broker
  }

  /** `127.0.0.1:23456`, without encryption or login. */
  get bootstrap(): string {
    return this.address('plaintext')
  }

  address(listener: KafkaListener): string {
    return `${this.#host}:${this.#ports.get(listener)}`
  }

  /** Of the running broker. */
  get pid(): number {
    if (!this.#broker?.running) throw new Error('Kafka does not run: start() it first')
    return this.#broker.pid
  }

  /**
   * Starts it on the same ports and data. Resolves when it serves; after a kill that takes about 3 s more, because the
   * controller waits for the session of the killed broker to end.
   */
  async start(): Promise<void> {
    const name = `kafka-${++this.#starts}`
    const log = join(this.#workspace.folder, `${name}.log`)
    const program = this.#workspace.start(name, 'java', [...java(this.#lib), 'kafka.Kafka', 'server.properties'])
    this.#broker = program
    // said after the broker is known to the controller and may lead partitions
    const serves = async () => (await readFile(log, 'utf8')).includes('Kafka Server started')
    await whileRunning(program, 'Kafka serves', serves)
  }

  /** As a crash: SIGKILL. What it acknowledged is there after the next start: the system's page cache outlives it. */
  async kill(): Promise<void> {
    await this.#broker?.end('SIGKILL')
  }

  /** As a restart in good order: SIGTERM. */
  async stop(): Promise<void> {
    await this.#broker?.end('SIGTERM')
  }

  /** Resolves when every partition has its leader. */
  async createTopic(
    name: string,
    { partitions = 1, config = {} }: { readonly partitions?: number; readonly config?: Record<string, string> } = {},
  ): Promise<void> {
    using connection = await KafkaConnection.open(this.bootstrap)
    await connection.createTopic({ name, partitions, config })
    const served = async () => {
      const [topic] = await connection.describe([name])
      // a leader is named a moment before it knows that it is one
      for (const { partition } of topic?.partitions ?? []) await connection.endOffset(name, partition)
      return topic?.partitions.length === partitions && topic.partitions.every(({ leader }) => leader >= 0)
    }
    await eventually(served, { what: `topic ${name} is served by its leaders` })
  }

  /** With all that is in it. Resolves when it is not served any more. */
  async deleteTopic(name: string): Promise<void> {
    using connection = await KafkaConnection.open(this.bootstrap)
    await connection.deleteTopic(name)
    const gone = async () => (await connection.describe([name]))[0]?.error === 'UNKNOWN_TOPIC_OR_PARTITION'
    await eventually(gone, { what: `topic ${name} is deleted` })
  }

  /** Settings of a topic, or of the broker (`1`), from now on; others stay as they are. */
  async configure(owner: ConfigOwner, config: Readonly<Record<string, string>>): Promise<void> {
    using connection = await KafkaConnection.open(this.bootstrap)
    await connection.alterConfig(owner, config)
  }

  /** How many records were ever appended to the topic. */
  async appended(topic: string): Promise<number> {
    using connection = await KafkaConnection.open(this.bootstrap)
    const [described] = await connection.describe([topic])
    let sum = 0
    for (const { partition } of described?.partitions ?? []) sum += await connection.endOffset(topic, partition)
    return sum
  }

  /**
   * All that is in the topic, read by Kafka's own console consumer from the beginning: by partition in order, and across
   * partitions as they came. Takes about 2 s, most of it the start of a Java VM. Not for a topic that was compacted.
   */
  async consoleConsumer(topic: string): Promise<readonly ConsumedRecord[]> {
    const count = await this.appended(topic)
    return await consumeAll(java(this.#lib), { topic, bootstrap: this.bootstrap, count })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }
}

/** A small Java VM that starts fast, and says warnings and that it has started. */
export function java(lib: string): readonly string[] {
  return [
    '-Xmx512m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
    '-cp',
    `${lib}/*`,
  ]
}

interface Addresses {
  readonly host: string
  readonly ports: ReadonlyMap<KafkaListener, number>
}

function properties({ controller, host, ports }: Addresses & { readonly controller: number }): string {
  // Kafka wants these names in capitals where they are declared, and in small letters where they are configured
  const addresses = [...ports].map(([listener, port]) => `${listener.toUpperCase()}://${host}:${port}`).join()
  const map = Object.entries(protocols).map(([listener, protocol]) => `${listener.toUpperCase()}:${protocol}`)
  const logins = Object.entries(kafkaUsers).map(([name, password]) => `user_${name}="${password}"`)
  const security = 'org.apache.kafka.common.security'
  const settings: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `${addresses},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': addresses,
    'listener.security.protocol.map': ['CONTROLLER:PLAINTEXT', ...map].join(),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': 'data',
    'auto.create.topics.enable': 'false',

    // one node
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,

    // small and quick
    'group.initial.rebalance.delay.ms': 0,
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'num.network.threads': 1,
    'num.io.threads': 2,
    'background.threads': 2,
    'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
    'log.cleaner.backoff.ms': 500,

    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS;User:admin;User:CN=localhost',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.certificate.chain': kafkaCertificates.server.cert,
    'ssl.keystore.key': kafkaCertificates.server.key,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.certificates': kafkaCertificates.client.cert,
    'listener.name.mtls.ssl.client.auth': 'required',
  }
  for (const listener of ['sasl', 'sasl-tls']) {
    const name = `listener.name.${listener}`
    settings[`${name}.sasl.enabled.mechanisms`] = 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512'
    settings[`${name}.plain.sasl.jaas.config`] = `${security}.plain.PlainLoginModule required ${logins.join(' ')};`
    for (const mechanism of ['scram-sha-256', 'scram-sha-512'])
      settings[`${name}.${mechanism}.sasl.jaas.config`] = `${security}.scram.ScramLoginModule required;`
  }
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${String(value).replaceAll('\n', '\\n')}`)
  return `${lines.join('\n')}\n`
}
