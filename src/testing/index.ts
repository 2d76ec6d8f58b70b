/**
 * For tests of programs that ask models: mocks, and a provider that misbehaves on demand.
 *
 * @since 0.1.0
 */
export * as SimulatedProvider from "./SimulatedProvider.js"
export * as TestLLM from "./TestLLM.js"
