import { request } from 'node:http'
import { messageOf } from '../base/errors.ts'
import { doctorProgramTimeoutMs } from '../base/limits.ts'

/** Asks a Docker engine for a sign of life (Engine API, `GET /_ping`). @returns why there is none, or undefined. */
export function engineAnswers(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(doctorProgramTimeoutMs)
    const asking = request({ socketPath, path: '/_ping', signal }, (response) => {
      response.resume()
      const { statusCode = 0 } = response
      resolve(statusCode === 200 ? undefined : `it answers ${statusCode}`)
    })
    asking.once('error', (error) => resolve(messageOf(error)))
    asking.end()
  })
}
