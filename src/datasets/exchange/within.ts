import type { AdmissionBounds } from '../git/admission.ts'
import type { NewRepository, PackRepository } from '../git/repository.ts'

/** The same repository for somebody who has less room: what comes through it keeps to these bounds. */
export function within<T extends PackRepository | NewRepository>(
  repository: T,
  bounds: Partial<AdmissionBounds> | undefined,
): T {
  if (bounds === undefined) return repository
  return new Proxy(repository, {
    get: (target, name) => {
      if (name === 'quarantine' && 'quarantine' in target) {
        return (more?: Partial<AdmissionBounds>) => target.quarantine({ ...more, ...bounds })
      }
      if (name === 'layOut' && 'layOut' in target) return async () => within(await target.layOut(), bounds)
      const found: unknown = Reflect.get(target, name, target)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })
}
