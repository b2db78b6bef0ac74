using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Tests.Interop;

/// <summary>
/// wireguard-go on a host of a laboratory, set up by a configuration as its user's app would: what wg-quick(8) does, whose file it is.
/// </summary>
internal sealed class WireGuardApp : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static int s_instances;

    private readonly Process _process;
    private readonly string _file;
    private string _peerKey = string.Empty;

    private WireGuardApp(LabHost host)
    {
        Host = host;
        Interface = string.Create(
            CultureInfo.InvariantCulture, $"ltxa{Environment.ProcessId % 100000}n{Interlocked.Increment(ref s_instances)}");
        _file = Path.Combine(host.Folder, "wg.conf");
        _process = host.StartCommand(
            "env", ["WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=silent", "wireguard-go", "--foreground", Interface]);
        _process.OutputDataReceived += (_, _) => { };
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public LabHost Host { get; }

    /// <summary>The interface; its control socket is in a folder that all namespaces share.</summary>
    public string Interface { get; }

    /// <summary>The client's tunnel address.</summary>
    public string Address { get; private set; } = string.Empty;

    public static async Task<WireGuardApp> StartAsync(LabHost host, string configuration, CancellationToken cancellationToken)
    {
        var app = new WireGuardApp(host);
        try
        {
            long began = Stopwatch.GetTimestamp();
            while (!await app.IsListeningAsync(cancellationToken))
            {
                if (app._process.HasExited || Stopwatch.GetElapsedTime(began) > Patience)
                    throw new TimeoutException("wireguard-go did not start.");
                await Task.Delay(10, cancellationToken);
            }

            app.Apply(configuration);
            return app;
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>Forgets its keys, so that it has to agree on new ones.</summary>
    public void ForgetKeys()
    {
        NetworkNamespace.Execute(Host.Namespace, "wg", "set", Interface, "peer", _peerKey, "remove");
        NetworkNamespace.Execute(Host.Namespace, "wg", "setconf", Interface, _file);
    }

    public void SetMtu(int mtu) => NetworkNamespace.Ip(
        "-n", Host.Namespace, "link", "set", Interface, "mtu", mtu.ToString(CultureInfo.InvariantCulture));

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        File.Delete($"/var/run/wireguard/{Interface}.sock");
    }

    /// <summary>"wg" itself deletes a control socket that refuses it, as one does between its bind and its listen.</summary>
    private async Task<bool> IsListeningAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint($"/var/run/wireguard/{Interface}.sock"), cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>What is wg's own goes to it, the rest is the system's.</summary>
    private void Apply(string configuration)
    {
        string Value(string key) => configuration.Split('\n').Single(line => line.StartsWith(key + " = ", StringComparison.Ordinal))
            [(key.Length + 3)..];

        string[] own = ["Address = ", "MTU = "];
        bool IsOwn(string line) => own.Any(key => line.StartsWith(key, StringComparison.Ordinal));
        File.WriteAllText(_file, string.Join('\n', configuration.Split('\n').Where(line => !IsOwn(line))));
        _peerKey = Value("PublicKey");
        NetworkNamespace.Execute(Host.Namespace, "wg", "setconf", Interface, _file);
        foreach (string address in Value("Address").Split(", "))
            NetworkNamespace.Ip("-n", Host.Namespace, "address", "add", address, "dev", Interface);
        Address = Value("Address").Split('/')[0];
        NetworkNamespace.Ip("-n", Host.Namespace, "link", "set", Interface, "mtu", Value("MTU"), "up");
        foreach (string prefix in Value("AllowedIPs").Split(", "))
            NetworkNamespace.Ip("-n", Host.Namespace, "route", "add", prefix, "dev", Interface);
    }
}
