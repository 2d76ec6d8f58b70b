/**
 * Cache stores over the `Persistence` of `@effect/experimental` (an optional peer dependency), which has Redis and LMDB.
 *
 * @since 0.1.0
 */
export * as PersistenceStore from "./PersistenceStore.js"
