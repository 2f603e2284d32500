import { z } from 'zod'
import { isNodeError, NodeError } from '../base/errors.ts'
import { nearestName } from '../base/nearest-name.ts'
import type { Act, Session } from './session.ts'

/** Commands about datasets: who mistypes a name is told which one is near. */
export function withNearestDataset(act: Act): Act {
  return <A extends unknown[]>(action: (session: Session, ...parameters: A) => Promise<void>) =>
    act<A>(async (session, ...parameters) => {
      try {
        await action(session, ...parameters)
      } catch (error) {
        throw await nearer(session, error)
      }
    })
}

async function nearer(session: Session, error: unknown): Promise<unknown> {
  if (!isNodeError(error, 'DATASET_NOT_FOUND') || typeof error.data.name !== 'string') return error
  try {
    const client = await session.connect()
    const known = await client.get('/datasets', z.array(z.object({ name: z.string() })))
    const near = nearestName(
      error.data.name,
      known.map(({ name }) => name),
    )
    if (near === undefined) return error
    return new NodeError('DATASET_NOT_FOUND', `${error.message} (did you mean ${near}?)`, error.data, {
      cause: error,
    })
  } catch {
    // What was wrong in the first place tells more than why nothing is near.
    return error
  }
}
