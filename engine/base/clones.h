/* Functions compiled for several instruction sets. */
#ifndef LAY_BASE_CLONES_H
#define LAY_BASE_CLONES_H

/* LAY_CLONES compiles a function for AVX-512, AVX2 and plain x86-64; the loader picks what the CPU has.
 * OpenMP regions must stay outside of such functions: their outlined bodies would not be cloned. Under the
 * sanitizers there is one version, because the resolvers run before their runtime is ready. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define LAY_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LAY_CLONES
#endif

#define LAY_INLINE static inline __attribute__((always_inline))

#endif
