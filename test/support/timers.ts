/** The timers of this process that have neither fired nor been cleared, with where each was set. */
import type { Scope } from "effect"
import { Effect } from "effect"

const origin = (): string => new Error("set").stack?.split("\n").slice(3, 9).join("\n") ?? ""

/**
 * Tracks timers that are set until the scope closes. Timers of the test runner are not included: it took the global functions
 * before.
 */
export const timers: Effect.Effect<() => ReadonlyArray<string>, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const alive = new Map<unknown, string>()
      const { clearInterval, clearTimeout, setInterval, setTimeout } = globalThis
      const setting =
        (isOnce: boolean): NonNullable<ProxyHandler<typeof setTimeout>["apply"]> =>
        (set, self, [run, ...rest]: Array<unknown>) => {
          const fire = (...args: Array<unknown>): void => {
            if (isOnce) alive.delete(timer)
            if (typeof run === "function") Reflect.apply(run, undefined, args)
          }
          const timer: unknown = Reflect.apply(set, self, [fire, ...rest])
          alive.set(timer, `${String(rest[0])} ms\n${origin()}`)
          return timer
        }
      const clearing: NonNullable<ProxyHandler<typeof clearTimeout>["apply"]> = (
        clear,
        self,
        [timer]: Array<unknown>
      ) => {
        alive.delete(timer)
        return Reflect.apply(clear, self, [timer])
      }
      globalThis.setTimeout = new Proxy(setTimeout, { apply: setting(true) })
      globalThis.setInterval = new Proxy(setInterval, { apply: setting(false) })
      globalThis.clearTimeout = new Proxy(clearTimeout, { apply: clearing })
      globalThis.clearInterval = new Proxy(clearInterval, { apply: clearing })
      return {
        alive: () => [...alive.values()],
        restore: () => Object.assign(globalThis, { clearInterval, clearTimeout, setInterval, setTimeout })
      }
    }),
    ({ restore }) => Effect.sync(restore)
  ),
  ({ alive }) => alive
)
