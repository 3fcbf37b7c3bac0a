/** Event Ruler: the program that AWS publishes to say which events a pattern of EventBridge takes. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { type Component, use } from './component.ts'

const run = promisify(execFile)
const VERSION = '1.8.1'

/** Takes a pattern as its argument and an event a line; says true or false a line. */
const MAIN = `import java.io.*;
import software.amazon.event.ruler.Ruler;
public class Match {
  public static void main(String[] arguments) throws Exception {
    BufferedReader events = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String event = events.readLine(); event != null; event = events.readLine())
      System.out.println(Ruler.matchesRule(event, arguments[0]));
  }
}
`

/** Its jars, and a main class for them. A folder for the class path. */
export const eventRuler: Component = {
  name: 'event-ruler',
  version: VERSION,
  file: 'lib',
  needs: {
    javac: 'Java 17 or newer with its compiler, from the package openjdk-17-jdk-headless',
    mvn: 'Maven 3.8 or newer, from the package maven',
  },
  async install(folder) {
    const pom = [
      '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>',
      '<groupId>testbed</groupId><artifactId>event-ruler</artifactId><version>1</version><dependencies><dependency>',
      `<groupId>software.amazon.event.ruler</groupId><artifactId>event-ruler</artifactId><version>${VERSION}</version>`,
      '</dependency></dependencies></project>',
    ]
    await writeFile(join(folder, 'pom.xml'), pom.join('\n'))
    const downloaded = join(folder, 'repository')
    const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
    const options = ['--batch-mode', '--quiet', `-Dmaven.repo.local=${downloaded}`, '-DoutputDirectory=jars']
    await run('mvn', [...options, copy], { cwd: folder })
    await rm(downloaded, { recursive: true })
    await mkdir(join(folder, 'main'))
    await writeFile(join(folder, 'main', 'Match.java'), MAIN)
    await run('javac', ['-cp', 'jars/*', '-d', 'jars', 'main/Match.java'], { cwd: folder })
    await rename(join(folder, 'jars'), join(folder, 'lib'))
  },
  async ask(lib) {
    const jars = (await readdir(lib)).map((name) => /^event-ruler-(.*)\.jar$/.exec(name)?.[1])
    return jars.find((version) => version !== undefined) ?? ''
  },
}

/** Which of the events a rule with this pattern takes. An event as a target is given it. */
export async function matched<T extends object>(pattern: object, events: readonly T[]): Promise<readonly T[]> {
  const lib = await use(eventRuler)
  const options = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const args = [...options, '-cp', `${lib}:${lib}/*`, 'Match', JSON.stringify(pattern)]
  const child = spawn('java', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  child.stdin.end(events.map((event) => `${JSON.stringify(event)}\n`).join(''))
  const [exitCode] = await ended
  const [output, errors] = await said
  const answers = output.split('\n').slice(0, -1)
  if (exitCode !== 0 || answers.length !== events.length) throw new Error(`Event Ruler failed: ${errors}`)
  return events.filter((_, index) => answers[index] === 'true')
}
