using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using LightTunnel.Diagnostics;

namespace LightTunnel.WireGuard;

/// <summary>Loads libsodium, or says what a person can do about it.</summary>
internal static class SodiumLibrary
{
    /// <summary>Loads and initializes the library.</summary>
    /// <param name="initialize">sodium_init, whose first call loads it.</param>
    /// <param name="isWindows">Whether this is Windows, whose build needs a library that Windows comes without.</param>
    /// <exception cref="LightTunnelException">LibraryUnavailable.</exception>
    public static void Load(Func<int> initialize, bool isWindows)
    {
        int result;
        try
        {
            result = initialize();
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
        {
            throw new LightTunnelException(
                LightTunnelError.LibraryUnavailable,
                isWindows
                    ? "libsodium.dll, which does the cryptography, could not be loaded. Most often VCRUNTIME140.dll is missing, which it "
                        + "needs and which is part of the Microsoft Visual C++ Redistributable."
                    : $"libsodium, which does the cryptography, could not be loaded: {exception.Message}",
                isWindows
                    ? "Install the Microsoft Visual C++ Redistributable (https://aka.ms/vs/17/release/vc_redist.x64.exe, on ARM "
                        + "vc_redist.arm64.exe) and start PowerShell again. If that does not help, install the module anew: its Engine "
                        + "folder lacks libsodium.dll, or has that of another processor."
                    : "Install the module anew, for this processor: its Engine folder lacks the library or what it needs.",
                exception);
        }

        if (result < 0)
        {
            throw new LightTunnelException(
                LightTunnelError.LibraryUnavailable,
                "libsodium could not be initialized.",
                "Check that the system's random number generator works.");
        }
    }

    /// <summary>Has a type loaded that loads the library, and throws what came of that; not that there is no such type.</summary>
    /// <exception cref="LightTunnelException">LibraryUnavailable.</exception>
    public static void Require(Type type)
    {
        try
        {
            RuntimeHelpers.RunClassConstructor(type.TypeHandle);
        }
        catch (TypeInitializationException exception) when (exception.InnerException is LightTunnelException reason)
        {
            ExceptionDispatchInfo.Throw(reason);
        }
    }
}
