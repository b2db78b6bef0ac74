using System.Runtime.InteropServices;
using System.Runtime.InteropServices.Marshalling;
using System.Runtime.Versioning;

namespace LightTunnel.WindowsNetwork;

/// <summary>
/// Makes COM's objects, by interfaces whose code the compiler has generated: so it works trimmed and compiled ahead of time.
/// </summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class ComObjects
{
    private const int OutOfMemory = unchecked((int)0x8007000E);
    private const uint InProcessServer = 1, LocalServer = 4;

    private static readonly StrategyBasedComWrappers Wrappers = new();
    private static readonly Lock Entering = new();
    private static bool s_isEntered;

    /// <summary>Makes an object of a class.</summary>
    /// <exception cref="Exception">What <see cref="Marshal.ThrowExceptionForHR(int)"/> throws.</exception>
    public static Owned<T> Create<T>(Guid classId)
        where T : class
    {
        Enter();
        // As IUnknown: the interface itself is asked for when the wrapper is cast.
        var unknown = new Guid("00000000-0000-0000-C000-000000000046");
        nint made;
        Marshal.ThrowExceptionForHR(CoCreateInstance(&classId, 0, InProcessServer | LocalServer, &unknown, &made));
        try
        {
            return new Owned<T>((T)Wrappers.GetOrCreateObjectForComInstance(made, CreateObjectFlags.UniqueInstance));
        }
        finally
        {
            Marshal.Release(made);
        }
    }

    /// <summary>A VARIANT with an array of one text; to be freed.</summary>
    public static VariantArray ArrayOf(string text)
    {
        nint array = SafeArrayCreateVector(VariantArray.Variant, 0, 1);
        if (array == 0)
            Marshal.ThrowExceptionForHR(OutOfMemory);
        var result = new VariantArray { Type = VariantArray.Array | VariantArray.Variant, Value = array };
        var element = new VariantArray { Type = VariantArray.BStr, Value = Marshal.StringToBSTR(text) };
        try
        {
            int index = 0;
            Marshal.ThrowExceptionForHR(SafeArrayPutElement(array, &index, &element)); // Copies the text.
            return result;
        }
        catch
        {
            Free(ref result);
            throw;
        }
        finally
        {
            Marshal.FreeBSTR(element.Value);
        }
    }

    /// <summary>Frees the array with what is in it.</summary>
    public static void Free(ref VariantArray array)
    {
        fixed (VariantArray* variant = &array)
            _ = VariantClear(variant);
    }

    /// <summary>
    /// Threads that have not entered an apartment of their own are in the multithreaded one, as long as there is one: there is from now on.
    /// </summary>
    private static void Enter()
    {
        lock (Entering)
        {
            if (s_isEntered)
                return;
            nint cookie;
            Marshal.ThrowExceptionForHR(CoIncrementMTAUsage(&cookie));
            s_isEntered = true;
        }
    }

    [LibraryImport("ole32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int CoIncrementMTAUsage(nint* cookie);

    [LibraryImport("ole32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int CoCreateInstance(Guid* classId, nint outer, uint context, Guid* interfaceId, nint* instance);

    [LibraryImport("oleaut32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial nint SafeArrayCreateVector(ushort type, int lowerBound, uint count);

    [LibraryImport("oleaut32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int SafeArrayPutElement(nint array, int* index, VariantArray* value);

    [LibraryImport("oleaut32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int VariantClear(VariantArray* value);
}

/// <summary>
/// An object of COM that is given back when it is disposed of: in the order in which its server expects it, by the thread that used it. The
/// garbage collector would do so in any order, some time, from a thread of its own.
/// </summary>
/// <param name="Value">The object, which nothing else in this process has (UniqueComInterfaceMarshaller).</param>
[SupportedOSPlatform("windows")]
internal readonly record struct Owned<T>(T Value) : IDisposable
    where T : class
{
    /// <inheritdoc/>
    public void Dispose() => ((ComObject)(object)Value).FinalRelease();
}
