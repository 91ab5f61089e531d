"""Kernel: a function that is compiled for other kernels, and for Python when Python calls it.

Numba compiles every function for all uses: it optimises it together with all that it calls, makes
machine code of that and wraps it for Python. Most kernels are only called by kernels, into which a
copy is linked that is optimised and made machine code of again, once for every range kernel above.
Here callers link code that has been lowered but not optimised as a whole; what takes long happens
once, in the kernel that Python calls. That one is lowered a second time, with its wrapper, on its
first call: no kernel lacks the wrapper when Python calls it, which would end the interpreter.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from llvmlite import binding as llvm
from numba.core import caching, sigutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher


class EntryPoint:
    """What numba files a linked kernel under, in place of a function that could be called."""


class LinkedLibrary(JITCodeLibrary):
    """LLVM code of a kernel and all that it calls, for linking only."""

    def _optimize_final_module(self) -> None:
        """Leave it to the kernel that Python calls; each function by itself has been simplified."""

    def _finalize_final_module(self) -> None:
        """Give nothing to the engine, which would make machine code of it."""
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def _get_module_for_linking(self) -> llvm.ModuleRef:
        """The module itself, its functions such that a copy that nobody calls is dropped."""
        self._ensure_finalized()
        if self._shared_module is None:
            for function in self._final_module.functions:
                if not function.is_declaration and function.linkage == llvm.Linkage.external:
                    function.linkage = llvm.Linkage.linkonce_odr
            self._shared_module = self._final_module
        return self._shared_module

    def serialize_using_object_code(self) -> tuple[str, bytes]:
        """Name and LLVM code; numba's name for it, there is no object code."""
        return self.name, self._get_module_for_linking().as_bitcode()

    @classmethod
    def from_bitcode(cls, codegen: Any, name: str, bitcode: bytes) -> LinkedLibrary:
        """The library that `serialize_using_object_code` has told."""
        library = cls(codegen, name)
        library._final_module = llvm.parse_bitcode(bitcode)
        library._finalize_final_module()
        return library


class LinkedCompiler(Compiler):
    """Numba's pipeline, as far as a kernel that kernels call has to go."""

    def compile_extra(self, func: Callable[..., Any]) -> CompileResult:
        """Lower `func` into a library of its own."""
        state = self.state
        state.flags.no_compile = True
        state.library = LinkedLibrary(state.targetctx.codegen(), func.__qualname__)
        result = super().compile_extra(func)._replace(entry_point=EntryPoint())
        result.library.finalize()
        state.targetctx.insert_user_function(result.entry_point, result.fndesc, [result.library])
        return result


class PythonCompiler(Compiler):
    """Numba's pipeline for a kernel that Python calls."""

    def compile_extra(self, func: Callable[..., Any]) -> CompileResult:
        """Compile `func` and give the kernels linked into it their environments."""
        result = super().compile_extra(func)
        for environment in result._find_referenced_environments():
            result.codegen.set_env(environment.env_name, environment)
        return result


class KernelCache(caching.FunctionCache):
    """Numba's cache of one function, of which one process at a time compiles what is missing."""

    _cache_file: Any  # a KernelCacheFile, an edit of which must not age every kernel

    def claim(self, sig: Any, target_context: Any) -> AbstractContextManager[None]:
        """Nothing for a specialisation that is kept, else `KernelCacheFile.claim`."""
        target_context.refresh()
        key = self._index_key(sig, target_context.codegen())
        return nullcontext() if self._cache_file.holds(key) else self._cache_file.claim()


class LinkedCacheImpl(caching.CompileResultCacheImpl):
    """Files of the code that kernels link, beside those of what Python calls."""

    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        """Name of the files, without suffix."""
        return "linked-" + super().get_filename_base(fullname, abiflags)

    def rebuild(self, target_context: Any, payload: tuple[Any, ...]) -> CompileResult:
        """As `CompileResult._rebuild` reads what `_reduce` tells, but into a `LinkedLibrary`."""
        library, fndesc, env, signature, objectmode, lifted, annotation, reload_init, envs = payload
        for initialise in reload_init:
            initialise()
        return CompileResult(
            target_context=target_context,
            typing_context=target_context.typing_context,
            library=LinkedLibrary.from_bitcode(target_context.codegen(), *library),
            environment=env,
            entry_point=EntryPoint(),
            fndesc=fndesc,
            type_annotation=annotation,
            signature=signature,
            objectmode=objectmode,
            lifted=lifted,
            typing_error=None,
            call_helper=None,
            metadata=None,
            reload_init=reload_init,
            referenced_envs=envs,
        )


class LinkedCache(KernelCache):
    """The cache of code that kernels link."""

    _impl_class = LinkedCacheImpl


class KernelDispatcher(CPUDispatcher):
    """Finds, loads or compiles the specialisations of one function."""

    _cache: KernelCache

    def enable_caching(self) -> None:
        """Keep what is compiled on disk."""
        self._cache = KernelCache(self.py_func)

    def compile(self, sig: Any) -> Any:
        """Compile a specialisation, or load what another process has compiled meanwhile."""
        # The claim comes second: a thread that waits for the compiler must not hold up a process
        with global_compiler_lock:
            args, _ = sigutils.normalize_signature(sig)
            if tuple(args) in self.overloads:
                return super().compile(sig)
            with self._cache.claim(sig, self.targetctx):
                return super().compile(sig)


class Kernel(KernelDispatcher):
    """A kernel as kernels see it; calls from Python go to `for_python`."""

    def __init__(
        self,
        py_func: Callable[..., Any],
        locals: dict[str, Any] | None = None,
        targetoptions: dict[str, Any] | None = None,
        pipeline_class: type[Compiler] = LinkedCompiler,
    ) -> None:
        options = {**(targetoptions or {}), "no_cpython_wrapper": True}
        super().__init__(py_func, locals, options, pipeline_class)
        self.enable_caching()

    @functools.cached_property
    def for_python(self) -> KernelDispatcher:
        """The same function with a wrapper, compiled when Python calls it."""
        options = {**self.targetoptions, "no_cpython_wrapper": False}
        dispatcher = KernelDispatcher(self.py_func, self.locals, options, PythonCompiler)
        dispatcher.enable_caching()
        return dispatcher

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call it from Python."""
        return self.for_python(*args, **keywords)

    def enable_caching(self) -> None:
        """Keep what is compiled on disk."""
        self._cache = LinkedCache(self.py_func)

    def add_overload(self, cres: CompileResult) -> None:
        """Let kernels find the specialisation; there is nothing that Python could call."""
        self.overloads[tuple(cres.signature.args)] = cres
