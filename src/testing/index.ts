/**
 * Tools for tests of programs that call models: a scripted `LLM`, and a simulated provider that fails on demand.
 *
 * @since 0.1.0
 */
export * as SimulatedProvider from "./SimulatedProvider.js"
export * as TestLLM from "./TestLLM.js"
