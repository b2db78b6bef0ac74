using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using LightTunnel.Diagnostics;

namespace LightTunnel.Forwarding;

/// <summary>The kernel's packet filter, nftables; replaced in tests.</summary>
internal interface INftables
{
    /// <summary>False when the program that changes it is not installed.</summary>
    bool IsInstalled { get; }

    /// <summary>Carries out all commands, or none.</summary>
    /// <exception cref="LightTunnelException">ForwardingUnavailable, with the program's own words.</exception>
    void Apply(string commands);

    /// <summary>What "list" tells of something, an array of objects; null when there is no such thing.</summary>
    /// <param name="what">What is to be listed, "table", "inet", "lighttunnel".</param>
    /// <exception cref="LightTunnelException">ForwardingUnavailable: it cannot be told what is there.</exception>
    JsonDocument? List(params IReadOnlyList<string> what);
}

/// <summary>The program nft. There is no kept library for .NET, and the messages that it sends change with the kernel.</summary>
internal sealed class NftProgram : INftables
{
    private const int LongestAnswer = 32 * 1024 * 1024;

    /// <summary>It answers within milliseconds; with hundreds of thousands of rules it takes longer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly string[] Folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/run/current-system/sw/bin"];

    /// <inheritdoc/>
    public bool IsInstalled => Find("nft") is not null;

    /// <summary>
    /// The full path of a program of the system, or null. Not by PATH, which for root may lead to what others have written.
    /// </summary>
    public static string? Find(string program) =>
        Folders.Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <inheritdoc/>
    public void Apply(string commands)
    {
        (int status, _, string error) = Run("nft", ["-f", "-"], commands);
        if (status != 0)
        {
            throw new LightTunnelException(
                LightTunnelError.ForwardingUnavailable, $"nftables refuses the rules of forwarding: {LogText.OneLine(error.Trim())}",
                "They need Linux 5.7 or later with nf_tables and nft_masq, and in a container its capability NET_ADMIN.");
        }
    }

    /// <inheritdoc/>
    public JsonDocument? List(params IReadOnlyList<string> what)
    {
        (int status, string output, string error) = Run("nft", ["-j", "list", .. what], null);
        return ReadListed(status, output, error);
    }

    /// <summary>What the program answered to "list"; null only when it says that there is no such thing.</summary>
    /// <exception cref="LightTunnelException">ForwardingUnavailable: it failed, and nobody knows what is there.</exception>
    internal static JsonDocument? ReadListed(int status, string output, string error)
    {
        // The loader of programs says the same of a missing library, with another status and without the first word.
        if (status == 1 && error.Contains("Error: No such file or directory", StringComparison.Ordinal))
            return null;
        string reason = error.Trim();
        try
        {
            if (status == 0)
                return JsonDocument.Parse(output);
        }
        catch (JsonException)
        {
            reason = "its answer is no JSON";
        }

        throw new LightTunnelException(
            LightTunnelError.ForwardingUnavailable, $"nftables does not tell which rules there are: {LogText.OneLine(reason)}",
            "The program nft has to be built with JSON, and needs the capability NET_ADMIN: look at what nft -j list ruleset says.");
    }

    /// <summary>Runs a program of the system, without a shell in between; status -1 when it is not there or does not end.</summary>
    internal static (int Status, string Output, string Error) Run(string program, IEnumerable<string> arguments, string? input)
    {
        if (Find(program) is not { } path)
            return (-1, string.Empty, $"{program} is not installed");
        var start = new ProcessStartInfo(path, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            Environment = { ["LC_ALL"] = "C" },
        };
        try
        {
            using Process process = Process.Start(start) ?? throw new Win32Exception();
            Task<string> output = ReadAsync(process.StandardOutput), error = ReadAsync(process.StandardError);
            try
            {
                process.StandardInput.Write(input);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It has ended already; it says why.
            }

            if (!process.WaitForExit(Patience))
            {
                process.Kill();
                return (-1, string.Empty, $"{program} did not end within {Patience.TotalSeconds:0} s");
            }

            return (process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
        }
        catch (Win32Exception exception)
        {
            return (-1, string.Empty, exception.Message);
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader)
    {
        var text = new StringBuilder();
        char[] buffer = new char[4096];
        int count;
        while ((count = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            if (text.Length < LongestAnswer)
                text.Append(buffer, 0, count);
        }

        return text.ToString();
    }
}
