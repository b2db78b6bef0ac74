using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Tun;

/// <summary>
/// wintun.dll, which is not part of Windows: beside the engine's assembly and nowhere else. Who may create adapters is elevated, and what
/// names a library in the environment, or leaves one in the current folder, need not be.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class Wintun : IWintunApi
{
    /// <summary>
    /// The environment variable that named the library's file once; whoever still sets it is told that it counts no more.
    /// </summary>
    public const string PathVariable = "LIGHTTUNNEL_WINTUN";

    private const string Library = WintunPackage.Library;
    private static readonly Lock LoadLock = new();
    private static Wintun? _instance;

    private Wintun()
    {
    }

    /// <summary>The library, loaded at first use; a failure is not kept, so that a person may put the file there and try again.</summary>
    /// <exception cref="LightTunnelException">It is not there, or not for this processor.</exception>
    public static Wintun Instance
    {
        get
        {
            lock (LoadLock)
                return _instance ??= Load();
        }
    }

    /// <inheritdoc/>
    public int LastError => Marshal.GetLastPInvokeError();

    /// <inheritdoc/>
    public nint CreateAdapter(string name, string tunnelType, Guid? id)
    {
        Guid requested = id.GetValueOrDefault();
        return WintunCreateAdapter(name, tunnelType, id is null ? null : &requested);
    }

    /// <inheritdoc/>
    public void CloseAdapter(nint adapter) => WintunCloseAdapter(adapter);

    /// <inheritdoc/>
    public ulong GetAdapterLuid(nint adapter)
    {
        ulong luid;
        WintunGetAdapterLuid(adapter, &luid);
        return luid;
    }

    /// <summary>The driver's version, 0x000E0001 for 0.14.1; 0 when none is loaded.</summary>
    public static uint GetRunningDriverVersion() => WintunGetRunningDriverVersion();

    /// <inheritdoc/>
    public nint StartSession(nint adapter, uint ringCapacity) => WintunStartSession(adapter, ringCapacity);

    /// <inheritdoc/>
    public void EndSession(nint session) => WintunEndSession(session);

    /// <inheritdoc/>
    public WaitHandle GetReadWaitEvent(nint session) =>
        new EventWaitHandle(initialState: false, EventResetMode.AutoReset)
        {
            SafeWaitHandle = new SafeWaitHandle(WintunGetReadWaitEvent(session), ownsHandle: false),
        };

    /// <inheritdoc/>
    public byte* ReceivePacket(nint session, out uint length)
    {
        uint size;
        byte* packet = WintunReceivePacket(session, &size);
        length = packet is null ? 0 : size;
        return packet;
    }

    /// <inheritdoc/>
    public void ReleaseReceivePacket(nint session, byte* packet) => WintunReleaseReceivePacket(session, packet);

    /// <inheritdoc/>
    public byte* AllocateSendPacket(nint session, uint length) => WintunAllocateSendPacket(session, length);

    /// <inheritdoc/>
    public void SendPacket(nint session, byte* packet) => WintunSendPacket(session, packet);

    /// <summary>What a person is told who has no library, or one that cannot be used.</summary>
    /// <param name="path">Where it is looked for.</param>
    /// <param name="isPresent">True when something is there.</param>
    /// <param name="variable">The environment variable's value.</param>
    internal static LightTunnelException Missing(string path, bool isPresent, string? variable) => TunErrors.Unavailable(
        (isPresent ? $"{path} could not be loaded: it is damaged or for another processor." : $"{Library} was not found.")
            + (string.IsNullOrWhiteSpace(variable)
                ? string.Empty
                : $" {PathVariable} is not looked at, as programs without rights could set it."),
        $"'Install-LtDriver' gets it. Or download Wintun from https://www.wintun.net and copy the {Library} for this processor to "
            + $"'{path}'.");

    private static Wintun Load()
    {
        string path = Path.Combine(WintunPackage.Folder, Library);
        bool isPresent = File.Exists(path);
        nint handle = 0;
        if (!isPresent || !NativeLibrary.TryLoad(path, out handle))
            throw Missing(path, isPresent, Environment.GetEnvironmentVariable(PathVariable));
        NativeLibrary.SetDllImportResolver(typeof(Wintun).Assembly, (name, _, _) => name == Library ? handle : 0);
        WintunSetLogger(WintunLog.Callback);
        return new Wintun();
    }

    [LibraryImport(Library)]
    private static partial void WintunSetLogger(delegate* unmanaged[Stdcall]<int, ulong, char*, void> logger);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint WintunCreateAdapter(string name, string tunnelType, Guid* requestedGuid);

    [LibraryImport(Library)]
    private static partial void WintunCloseAdapter(nint adapter);

    [LibraryImport(Library, EntryPoint = "WintunGetAdapterLUID")]
    private static partial void WintunGetAdapterLuid(nint adapter, ulong* luid);

    [LibraryImport(Library, SetLastError = true)]
    private static partial uint WintunGetRunningDriverVersion();

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint WintunStartSession(nint adapter, uint capacity);

    [LibraryImport(Library)]
    private static partial void WintunEndSession(nint session);

    [LibraryImport(Library)]
    private static partial nint WintunGetReadWaitEvent(nint session);

    [LibraryImport(Library, SetLastError = true)]
    private static partial byte* WintunReceivePacket(nint session, uint* packetSize);

    [LibraryImport(Library)]
    private static partial void WintunReleaseReceivePacket(nint session, byte* packet);

    [LibraryImport(Library, SetLastError = true)]
    private static partial byte* WintunAllocateSendPacket(nint session, uint packetSize);

    [LibraryImport(Library)]
    private static partial void WintunSendPacket(nint session, byte* packet);
}
