import { isNodeError, messageOf } from '../../base/errors.ts'
import { publishAttemptsMax, publishRestMs } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'

/** Tries again what may pass, each time after a rest twice as long, and gives up after a few times. */
export async function withAttempts<T>(
  task: () => Promise<T>,
  p: { signal: AbortSignal; say?: (line: string) => void; restMs?: number },
): Promise<T> {
  const { signal, say, restMs = publishRestMs } = p
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await task()
    } catch (error) {
      signal.throwIfAborted()
      if (attempt >= publishAttemptsMax || !isNodeError(error, 'SOURCE_UNAVAILABLE')) throw error
      say?.(`${messageOf(error)}; tried again (${attempt + 1} of ${publishAttemptsMax})`)
      await delay(restMs * 2 ** (attempt - 1), signal)
    }
  }
}
