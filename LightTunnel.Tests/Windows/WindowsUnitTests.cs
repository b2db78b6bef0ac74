using System.Xml.Linq;
using LightTunnel.Lab;
using Xunit;

namespace LightTunnel.Tests.Windows;

/// <summary>
/// Classes of unit tests, run inside a Windows machine: those whose code asks something else of Windows, or where bytes count. Not
/// SocketUdpTransportTests: its SendAndReceive_OverSeveralSockets waits for ever under Wine for a datagram.
/// </summary>
[Collection(nameof(WindowsNetwork))]
public sealed class WindowsUnitTests(WindowsNetwork network)
{
    private static readonly string[] Classes =
    [
        "Configuration.ConfigurationFileTests",
        "Configuration.ConfigurationWriterTests",
        "Configuration.SettingsResolverTests",
        "Diagnostics.FileAccessFactsTests",
        "Diagnostics.SystemErrorTests",
        "Management.ControlPipeTransportTests",
        "Management.PipeAccessTests",
        "Management.PipeListenerTests",
        "Packets.FlowHashTests",
        "Packets.IcmpErrorsTests",
        "Packets.InternetChecksumTests",
        "Packets.IpPacketTests",
        "Packets.PacketCoalescerTests",
        "Packets.PacketSegmenterTests",
        "Packets.TcpMssTests",
        "Packets.VirtioNetHeaderTests",
        "Resolver.NrptSetupTests",
        "Timing.SystemClockTests",
        "Timing.TimestampTests",
        "Transport.UdpEndpointTests",
        "Transport.UdpErrorsTests",
        "Tun.AdapterIdTests",
        "Tun.IpHelperTests",
        "Tun.WindowsInterfaceSettingsTests",
        "Tun.WintunDeviceTests",
        "Tun.WintunPackageTests",
        "WireGuard.HandshakeStateTests",
        "WireGuard.LinkDataTests",
        "WireGuard.PrimitiveTests",
        "WireGuard.VectorAegis256Tests",
        "WireGuard.VectorChaCha20Tests",
        "WireGuard.VectorPoly1305Tests",
    ];

    /// <summary>
    /// Left out: those that say of themselves that they are not for Windows, or not for Wine, as under Wine the runner stands still for
    /// ever at the second test that is skipped; and then those that take many seconds there, with files or random inputs by thousands.
    /// </summary>
    private static readonly string[] LeftOut =
    [
        "Configuration.ConfigurationFileTests.Check_SecretReadableByOthers_Warns",
        "Configuration.ConfigurationWriterTests.Text_MeansNothing",
        "Timing.SystemClockTests.Instance_OnWindows_IsNotTheFrameworks",
        "Tun.IpHelperTests.Wintun_LibraryMissing_SaysWhereToPutIt",

        "Configuration.ConfigurationFileTests.Check_HostileText_NeverThrows",
        "Packets.PacketCoalescerTests.Run_HostileBytes_NeverThrowsAndLosesNothing",
        "Packets.PacketCoalescerTests.Run_RandomTraffic_IsCutIntoTheSamePacketsInTheSameOrderOfEachFlow",
        "Packets.PacketSegmenterTests.Cut_RandomSuperPackets_GivesWholePacketsThatJoinToThePayload",
        "Packets.TcpMssTests.Clamp_AnyOptions_ChangesNothingButTheValueAndTheChecksum",
    ];

    /// <summary>Only so that what hangs is named: a busy machine takes its time.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    [Fact]
    public async Task ChosenClasses_PassInsideWindows()
    {
        await network.JoinAsync();
        string results = Path.Combine(network["windows"].Folder, "results.xml");
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Patience);

        CommandResult run = await network.Machine.ExecuteAsync(
            typeof(WindowsUnitTests).Assembly.Location,
            ["-noLogo", "-noColor", .. Options("-class", Classes), .. Options("-method-", LeftOut),
                "-result-xml", WindowsSystem.PathOf(results)],
            deadline.Token);

        Assert.True(File.Exists(results), run.Output + run.Errors);
        XElement[] tests = [.. XDocument.Load(results).Descendants("test")];
        string[] failed = [.. tests.Where(test => Is(test, "Fail")).Select(test => $"{test.Attribute("name")?.Value}: {test.Value}")];
        string[] empty = [.. Classes.Where(name => !tests.Any(test => Is(test, "Pass") && IsOf(test, name)))];
        TestContext.Current.TestOutputHelper?.WriteLine($"{tests.Count(test => Is(test, "Pass"))} tests passed inside Windows.");
        Assert.True(run.ExitCode == 0 && failed.Length == 0 && empty.Length == 0, string.Join(
            Environment.NewLine, [.. failed, .. empty.Select(name => $"Nothing of {name} was run."), run.Output, run.Errors]));
    }

    private static IEnumerable<string> Options(string option, string[] names) =>
        names.SelectMany(name => new[] { option, $"LightTunnel.Tests.{name}" });

    private static bool Is(XElement test, string result) => test.Attribute("result")?.Value == result;

    private static bool IsOf(XElement test, string name) => test.Attribute("type")?.Value == $"LightTunnel.Tests.{name}";
}
