/** Where the etcd surface may be reached from, and with what (protocols/etcd.md §8). */
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { messageOf, NodeError } from '../base/errors.ts'
import { isLoopback } from '../base/loopback.ts'

/** Of the settings `etcd.…` (serve.ts), what says who reaches the surface. */
export interface ExposureSettings {
  readonly serve: 'auto' | 'always' | 'never'
  readonly host: string
  /** Empty: none. */
  readonly certFile: string
  readonly keyFile: string
}

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/**
 * What is wrong with the settings whatever federation the node is in, so that it is told before the node is in one.
 *
 * @throws NodeError INVALID_CONFIG
 */
export async function checkEtcdSettings(settings: ExposureSettings): Promise<void> {
  if (settings.serve === 'never') return
  checkExposure(settings.host, (await readCertificate(settings)) !== undefined)
}

/** [E17] Beyond loopback there is TLS. @throws NodeError INVALID_CONFIG */
export function checkExposure(host: string, encrypted: boolean): void {
  if (encrypted || isLoopback(host)) return
  const message = `Beyond loopback the etcd surface speaks TLS only, so ${host} needs etcd.certFile and etcd.keyFile; or reach it through a tunnel, such as ssh -L 2379:127.0.0.1:2379`
  throw new NodeError('INVALID_CONFIG', message, { host })
}

/** @returns undefined where none is named. @throws NodeError INVALID_CONFIG */
export async function readCertificate(
  settings: Pick<ExposureSettings, 'certFile' | 'keyFile'>,
): Promise<Certificate | undefined> {
  const { certFile, keyFile } = settings
  if (certFile === '' && keyFile === '') return undefined
  if (certFile === '' || keyFile === '') {
    throw new NodeError('INVALID_CONFIG', 'etcd.certFile and etcd.keyFile go together')
  }
  try {
    const certificate = { cert: await readFile(certFile), key: await readFile(keyFile) }
    // Also what can be read may be no certificate, or that of another key.
    createSecureContext(certificate)
    return certificate
  } catch (cause) {
    const message = `The certificate of the etcd surface cannot be used: ${messageOf(cause)}; see etcd.certFile and etcd.keyFile`
    throw new NodeError('INVALID_CONFIG', message, { certFile, keyFile }, { cause })
  }
}

/** Every address of the machine: one to listen on, and none to go to. */
export function isUnspecified(host: string): boolean {
  return isIP(host) !== 0 && /^[0.:]+$/.test(host)
}
