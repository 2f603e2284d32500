import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { testImage } from './test-images.ts'

const run = promisify(execFile)

/** An engine of the test's own, on a machine of its own as far as the network goes. */
export interface SecondEngine {
  readonly socketPath: string
  readonly host: string
  readonly port: number
  readonly files: { readonly caFile: string; readonly certFile: string; readonly keyFile: string }
  /** The docker program, talking to it. */
  docker(...words: string[]): Promise<string>
  /** Ends it in the middle, and brings it back. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

const [HERE, THERE, PORT] = ['11.11.12.1', '11.11.12.2', 2376]

/**
 * A second dockerd with its own directories and its own network namespace: one without a default bridge takes that of
 * the whole machine away. It listens on a socket, and over TLS with certificates made here.
 */
export async function secondEngine(): Promise<SecondEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'mao-dockerd-'))
  const namespace = `mao-e-${process.pid}`
  const socketPath = join(directory, 'docker.sock')
  let dockerd: ChildProcess | undefined
  const docker = async (...words: string[]) =>
    (await run('docker', ['-H', `unix://${socketPath}`, ...words])).stdout

  const start = async () => {
    const log = await open(join(directory, 'log'), 'a')
    const words = [
      ...[`--net=/var/run/netns/${namespace}`, 'dockerd', '-H', `unix://${socketPath}`],
      ...['--data-root', join(directory, 'root'), '--exec-root', join(directory, 'exec')],
      ...['--pidfile', join(directory, 'pid'), '--bridge=none', '--iptables=false', '--no-new-privileges'],
      ...['-H', `tcp://${THERE}:${PORT}`, '--tlsverify', '--tlscacert', join(directory, 'ca.pem')],
      ...['--tlscert', join(directory, 'server.pem'), '--tlskey', join(directory, 'server-key.pem')],
    ]
    dockerd = spawn('nsenter', words, { stdio: ['ignore', log.fd, log.fd] })
    await log.close()
    const answers = () => docker('version').then(...[() => true, () => false])
    await eventually(answers, `no second engine answers; see ${directory}/log`, 30_000)
  }
  const end = async (signal: NodeJS.Signals) => {
    if (dockerd === undefined || dockerd.exitCode !== null || dockerd.signalCode !== null) return
    const ended = once(dockerd, 'exit')
    dockerd.kill(signal)
    await ended
  }
  const kill = async () => {
    await end('SIGKILL')
    // Its containerd died with it; where nobody buries the dead, the next one would take that for alive.
    await rm(join(directory, 'exec/containerd/containerd.pid'), { force: true })
  }
  const stop = async () => {
    // One that was killed leaves its containers and its containerd; only another can end those.
    if (dockerd?.signalCode === 'SIGKILL') await start()
    await end('SIGTERM')
    await run('ip', ['netns', 'del', namespace])
    const mounts = (await readFile('/proc/mounts', 'utf8'))
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
    for (const mount of mounts.filter((path) => path.startsWith(directory)).reverse()) {
      await run('umount', ['-l', mount]).catch(() => undefined)
    }
    await rm(directory, { recursive: true, force: true })
  }

  await run('ip', ['netns', 'add', namespace])
  try {
    const [here, there] = [`eh${process.pid}`, `et${process.pid}`]
    await run('ip', ['link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', namespace])
    await run('ip', ['addr', 'add', `${HERE}/24`, 'dev', here])
    await run('ip', ['link', 'set', here, 'up'])
    for (const words of [`addr add ${THERE}/24 dev ${there}`, `link set ${there} up`, 'link set lo up']) {
      await run('ip', ['-n', namespace, ...words.split(' ')])
    }
    await makeCertificates(directory)
    await start()
    const image = await testImage()
    await run('/bin/sh', ['-c', `docker save ${image} | docker -H unix://${socketPath} load`])
  } catch (error) {
    await stop()
    throw error
  }
  const files = {
    caFile: join(directory, 'ca.pem'),
    certFile: join(directory, 'client.pem'),
    keyFile: join(directory, 'client-key.pem'),
  }
  return { socketPath, host: THERE, port: PORT, files, docker, start, kill, stop }
}

async function makeCertificates(directory: string): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const openssl = (...words: string[]) => run('openssl', words, { cwd: directory })
  await openssl('req', '-x509', ...key, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-subj', '/CN=test ca')
  for (const [name, use] of [
    ['server', `subjectAltName=IP:${THERE}\nextendedKeyUsage=serverAuth`],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    await writeFile(join(directory, `${name}.ext`), use)
    await openssl('req', ...key, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2']
    await openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signing,
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    )
  }
}
